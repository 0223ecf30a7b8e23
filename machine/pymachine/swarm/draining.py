"""Nodes that run no tasks for a while, and what is done to them meanwhile: upgrades of their engines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from pymachine import provision
from pymachine.cluster.seam import ACTIVE, NodeChange
from pymachine.cluster.view import DRAINED_LABEL, ClusterView
from pymachine.engine.checks import matches_version
from pymachine.errors import EngineError, PymachineError, Unreachable
from pymachine.model import Machine
from pymachine.steps.powers import await_engine
from pymachine.steps.tools import Tools
from pymachine.swarm.quorum_lease import leads, quorum_held
from pymachine.swarm.reaching import awaited, control, engine_of, member_at_work, unlocked, via_of
from pymachine.swarm.rules import may_rest
from pymachine.swarm.seats import await_no_tasks

BACK_PATIENCE = 240.0


@contextmanager
def drained(name: str, tools: Tools, *, via: Sequence[str] = ()) -> Iterator[None]:
    """Have the node run no tasks in the block, then wait until it takes part again and give it back its availability.

    A manager is refused where the others would be no majority without it; until it is back no other process takes
    one away. If the block is never left, the next call
    still knows the availability of before. The machine's lease is free in the block, for other verbs. Where the block
    fails, the node is given back if it still takes part, and stays drained if it does not.
    """
    with ExitStack() as held:
        _drain(name, tools, via, held)
        try:
            yield
        except PymachineError:
            with suppress(PymachineError):
                _give_back(name, tools, via, patience=0.0)
            raise
        _give_back(name, tools, via, patience=BACK_PATIENCE)


def upgrade(name: str, tools: Tools, *, version: str | None = None, via: Sequence[str] = ()) -> Machine:
    """Upgrade the engine of one node, drained meanwhile; return the machine's record. Leaders are to come last.

    A node whose engine is of that version already is only given back its availability, if an earlier call died.
    Which version is the newest is found on the host, by the upgrade itself: without ``version`` each is drained.
    """
    if version is None or not _is_there(name, version, tools):
        with drained(name, tools, via=via):
            return provision.upgrade(name, tools, version=version)
    _give_back(name, tools, via, patience=BACK_PATIENCE)
    return tools.store.get(name)


def _is_there(name: str, version: str, tools: Tools) -> bool:
    answer = await_engine(tools.store.get(name), tools)
    return answer is not None and matches_version(answer.version, version)


def next_manager(view: ClusterView, left: Sequence[str]) -> str | None:
    """Return which of the managers ``left`` is to be upgraded next: the leader, whoever that is by then, last."""
    return min(left, key=lambda name: (name == view.leader, list(left).index(name)), default=None)


def _drain(name: str, tools: Tools, via: Sequence[str], held: ExitStack) -> None:
    """Drain the node; of a manager the lease on its Swarm's managers is taken first, and ``held``."""
    if cluster := _led_by(name, tools, via):
        held.enter_context(quorum_held(cluster, name, "restart of manager", tools))
    with (
        member_at_work(name, "drain", tools) as (_, machine),
        control(tools, via_of(machine, via, tools), last=name) as manager,
    ):
        node = manager.get(machine)
        may_rest(name, node, manager.quorum())
        former = node.labels.get(DRAINED_LABEL, node.availability)
        note = NodeChange(availability="drain", labels=lambda labels: {**labels, DRAINED_LABEL: former})
        manager.engine.change_node(node.id, note)
        await_no_tasks(name, node, manager, tools)


def _led_by(name: str, tools: Tools, via: Sequence[str]) -> str:
    """Return the id of the Swarm that the machine manages now; empty for a worker."""
    machine = tools.store.get(name)
    with control(tools, via_of(machine, via, tools), last=name) as manager:
        return manager.cluster if leads(machine, manager) else ""


def _give_back(name: str, tools: Tools, via: Sequence[str], *, patience: float) -> None:
    """Wait until the node takes part again; then it has the availability of before."""
    with member_at_work(name, "activate", tools) as (_, machine):
        with engine_of(machine, tools) as engine:
            unlocked(engine, machine, tools)
        awaited(
            tools,
            lambda: _given_back(machine, via, tools),
            f"{name} to take part in the Swarm again",
            patience=patience,
            hint=f"it stays drained; `pymachine swarm status` shows how it is, `swarm activate {name}` gives it back",
        )


def _given_back(machine: Machine, via: Sequence[str], tools: Tools) -> bool | None:
    """Give the node back if it and the managers are there: after a restart both may want some seconds."""
    try:
        with engine_of(machine, tools) as engine:
            if engine.standing().state != ACTIVE:
                return None
        with control(tools, via_of(machine, via, tools), last=machine.name) as manager:
            node = manager.get(machine)
            former = node.labels.get(DRAINED_LABEL)
            if node.ready and former is not None:
                manager.engine.change_node(node.id, NodeChange(availability=former, labels=_without_note))
            return node.ready or None
    except (EngineError, Unreachable):
        return None


def _without_note(labels: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key != DRAINED_LABEL}
