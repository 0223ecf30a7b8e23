"""Machines that leave a Swarm, and nodes whose machines are gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from pymachine.errors import CheckFailed, PymachineError, Unreachable
from pymachine.model import Machine
from pymachine.steps.services import Services
from pymachine.steps.session import Session
from pymachine.swarm.control import (
    UNLOCK_KEY,
    Control,
    control,
    engine_of,
    joined_state,
    member_at_work,
    unlocked,
    via_of,
)
from pymachine.swarm.nodes import await_no_tasks, demote, forget
from pymachine.swarm.quorum import may_go
from pymachine.swarm.quorum_lease import leads, managers_held, quorum_held
from pymachine.swarm_api.protocol import INACTIVE, ClusterEngine, NodeChange
from pymachine.swarm_api.view import SwarmNode


def leave(
    name: str, tools: Services, *, via: Sequence[str] = (), force: bool = False, dissolve: bool = False
) -> Machine:
    """Take the machine out of its Swarm: drained, demoted, left, down, forgotten; return its record.

    ``force`` goes on without an engine that does not answer; one that comes back then has to leave by itself.
    ``dissolve`` lets the last manager go, and the Swarm with it; with ``force`` no manager is asked at all, for a
    Swarm that lost its majority. A machine that is in no Swarm is left as it is.
    """
    with member_at_work(name, "leave", tools) as (session, machine):
        if machine.swarm is None and not via:
            _refuse_unknown_member(machine, tools)
            return machine
        with _engine_or_none(machine, session.tools, force=force) as engine:
            if dissolve and force:
                _walk_out(engine)
                return _forgotten(machine, session)
            if dissolve and engine is not None and _dissolved(machine, engine, via, tools):
                return _forgotten(machine, session)
            asked, purpose = via_of(machine, via, tools), "leave of manager"
            with managers_held(
                machine, purpose, lambda found: leads(machine, found), session.tools, asked
            ) as manager:
                _take_out(machine, engine, manager, tools)
        return _forgotten(machine, session)


def remove_node(node: str, tools: Services, *, via: Sequence[str]) -> None:
    """Forget a node by its id whose machine is gone: demoted first if it is a manager, once it is seen down."""
    with control(tools, via) as manager:
        found = manager.find(node)
        if found is None:
            return
        name = found.hostname or found.id
        with quorum_held(manager.cluster, name, "removal of manager", tools) if found.is_manager else nullcontext():
            forget(name, node, manager, tools)


def _refuse_unknown_member(machine: Machine, tools: Services) -> None:
    """A member that is not on record has managers that are not known either."""
    with engine_of(machine, tools) as engine:
        status = engine.node_status()
    if status.state != INACTIVE:
        raise CheckFailed(
            f"{machine.name} is in a Swarm ({status.state}) that is not on record",
            hint="`pymachine swarm join --to MANAGER` records a member as it is; or leave by hand: "
            f"`pymachine docker {machine.name} swarm leave`",
        )


@contextmanager
def _engine_or_none(machine: Machine, tools: Services, *, force: bool) -> Iterator[ClusterEngine | None]:
    """Lend the machine's engine; with ``force``, None where it does not answer."""
    engine: ClusterEngine | None = None
    try:
        engine = engine_of(machine, tools)
        unlocked(engine, machine, tools)
    except PymachineError as error:
        if engine is not None:
            engine.close()
            engine = None
        if not force:
            raise _with_way_on(error, machine) from error
        tools.reporter.notice(machine.name, f"removed from the node list without leaving first: {error.message}")
    with nullcontext() if engine is None else engine:
        yield engine


def _with_way_on(error: PymachineError, machine: Machine) -> PymachineError:
    if isinstance(error, Unreachable):
        error.hint = f"`pymachine swarm leave --force {machine.name}` continues without it"
    return error


def _walk_out(engine: ClusterEngine | None) -> None:
    if engine is not None and engine.node_status().state != INACTIVE:
        engine.leave(force=True)


def _dissolved(machine: Machine, engine: ClusterEngine, via: Sequence[str], tools: Services) -> bool:
    """Leave as the last manager, which ends the Swarm; false where it is not the last. Workers have to be gone."""
    status = joined_state(engine, machine, tools)
    if status.state == INACTIVE:
        return machine.swarm is None or via_of(machine, via, tools) == [machine.name]
    if not status.control:
        return False
    nodes = engine.nodes()
    if sum(node.is_manager for node in nodes) > 1:
        return False
    others = [node.hostname for node in nodes if node.id != status.node and node.state != "down"]
    if others:
        raise CheckFailed(
            f"{machine.name} is the last manager, and {', '.join(others)} would have none",
            hint="include them: `pymachine swarm leave --dissolve` removes workers first",
        )
    engine.leave(force=True)
    return True


def _take_out(machine: Machine, engine: ClusterEngine | None, manager: Control, tools: Services) -> None:
    node = _node_on_record(machine, manager)
    if node is not None:
        may_go(machine.name, node, manager.quorum())
        manager.engine.change_node(node.id, NodeChange(availability="drain"))
        await_no_tasks(machine.name, node, manager, tools)
        demote(machine.name, node, manager, tools)
    if engine is not None and engine.node_status().state != INACTIVE:
        engine.leave(force=node is None)  # one that was taken off the list may call itself a manager still
    if node is not None:
        forget(machine.name, node.id, manager, tools)


def _node_on_record(machine: Machine, manager: Control) -> SwarmNode | None:
    """The node, or None where an earlier call, or somebody else, took it off the list."""
    try:
        return manager.get(machine)
    except CheckFailed:
        return None


def _forgotten(machine: Machine, session: Session) -> Machine:
    known = session.tools.store.secrets(machine.name).get(UNLOCK_KEY)
    return session.save(machine.with_(swarm=None), {UNLOCK_KEY: b""} if known else None)
