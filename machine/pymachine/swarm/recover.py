"""A Swarm whose managers have lost their majority for good: one continues alone, and the others join it again.

What the managers knew is kept; what only the lost ones had agreed on since is gone. Services run on meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pymachine.errors import CheckFailed, EngineError, PymachineError, QuorumLost
from pymachine.fleet.inventory.model import NodeSpec
from pymachine.model import Machine
from pymachine.parallel import together
from pymachine.steps.services import Services
from pymachine.swarm.control import (
    START_PATIENCE,
    UNLOCK_KEY,
    Control,
    awaited,
    engine_of,
    joined_state,
    managers_of,
    member_at_work,
)
from pymachine.swarm.join import join
from pymachine.swarm.quorum_lease import quorum_held
from pymachine.swarm.status import status, the_cluster
from pymachine.swarm_api.protocol import INACTIVE, PENDING, ClusterEngine, NodeStatus
from pymachine.swarm_api.view import DRAINED_LABEL, KEYS_LABEL, MACHINE_LABEL, MANAGER, ClusterView, SwarmNode


@dataclass(frozen=True, slots=True)
class Loss:
    """Managers by their records: those that ``survive``, and those that do not answer or are no managers any more."""

    cluster: str
    survivors: tuple[str, ...]
    lost: tuple[str, ...]

    def in_words(self) -> str:
        """Return what happened, for people."""
        managers = len(self.survivors) + len(self.lost)
        alone = "is" if len(self.survivors) == 1 else "are"
        return (
            f"of {managers} managers {', '.join(self.lost)} cannot be reached; {', '.join(self.survivors)} {alone} "
            "not a majority, so nothing in the Swarm can be changed"
        )


def survey_loss(tools: Services, names: Sequence[str] = ()) -> Loss:
    """Say which managers are left of a Swarm that has no majority. Changes nothing but unlocks them.

    Raises ``CheckFailed`` where there is a majority or may be one in a moment, or where no manager is left.
    """
    cluster = the_cluster(tools, names)
    managers = managers_of(cluster, tools) if cluster else list(names)
    answers = together(managers, lambda name: _answer(name, tools))
    survivors = tuple(name for name, answer in answers.items() if answer is not None)
    if any(_can_change(name, tools) for name in survivors):
        raise CheckFailed(
            "the managers have a majority: there is nothing to recover",
            hint="`pymachine swarm status` shows what is wrong with single nodes",
        )
    if not survivors:
        raise CheckFailed(
            f"no manager is left to recover from: {', '.join(managers) or 'none is on record'}",
            hint="run `pymachine start` for those that are only off; otherwise create the Swarm again",
        )
    lost = tuple(name for name in managers if name not in survivors)
    if len(survivors) > len(managers) // 2:
        raise CheckFailed(
            f"{', '.join(survivors)} answer from here and are a majority, but cannot agree on a leader",
            hint="wait a minute; otherwise check that they reach each other at TCP port 2377",
        )
    _refuse_locking(survivors, tools)
    return Loss(cluster, survivors, lost)


def _refuse_locking(survivors: Sequence[str], tools: Services) -> None:
    """An engine cannot restart a Swarm whose managers have autolock (moby#36852): the attempt stops it."""
    if any(tools.store.secrets(name).get(UNLOCK_KEY) for name in survivors):
        raise CheckFailed(
            f"only {', '.join(survivors)} can be reached, which is not a majority, and an engine cannot reinitialise "
            "a Swarm with autolock on",
            hint="bring managers back until a majority answers (`pymachine start`, `pymachine swarm unlock`); "
            "if they are permanently lost: `pymachine swarm leave -f --dissolve` for all machines, "
            "and create the Swarm again",
        )


def recover(tools: Services, names: Sequence[str] = (), *, survivor: str | None = None) -> ClusterView:
    """Make a Swarm whose managers have lost their majority work again around ``survivor``; return how it looks then.

    Refused while a majority is there. Lost managers are removed from the records, those that answer join again. If
    no survivor is named it is the first: an engine does not tell how much of the common log it has.
    """
    loss = survey_loss(tools, names)
    chosen = survivor or loss.survivors[0]
    if chosen not in loss.survivors:
        raise CheckFailed(
            f"{chosen} is not one of the remaining managers",
            hint=f"it can be one of these: {', '.join(loss.survivors)}",
        )
    with quorum_held(loss.cluster, chosen, "recovery around", tools):
        formers = _go_on_alone(chosen, tools)
    for name in loss.survivors:
        if name != chosen:
            join(name, formers.get(_node_id(name, tools), NodeSpec(MANAGER)), tools, via=[chosen])
    return status(tools, [chosen])


def _go_on_alone(name: str, tools: Services) -> dict[str, NodeSpec]:
    """Make the machine the only manager, forget the others, and return what they were by their node ids."""
    with member_at_work(name, "recover", tools) as (session, machine), engine_of(machine, session.tools) as engine:
        status = joined_state(engine, machine, tools, patience=START_PATIENCE)
        _start_anew(machine, status, engine)
        manager = awaited(tools, lambda: _leading(machine, engine), f"{name} to lead the Swarm")
        key = engine.unlock_key().encode()
        if tools.store.secrets(name).get(UNLOCK_KEY, b"") != key:
            session.save(machine, {UNLOCK_KEY: key})
        others = [node for node in manager.nodes() if node.id != status.node and _was_manager(node)]
        for node in others:
            # They are in no majority any more, so that they need not be demoted, and could not be.
            engine.remove_node(node.id, force=True)
        return {node.id: _as_it_was(node) for node in others}


def _start_anew(machine: Machine, status: NodeStatus, engine: ClusterEngine) -> None:
    try:
        engine.force_new_cluster(status.address)
    except EngineError as error:
        if engine.node_status().state != INACTIVE:
            raise
        raise EngineError(
            f"{machine.name} could not reinitialise the Swarm: {error.message}",
            hint=f"restart its engine to return it to its previous state: `pymachine restart {machine.name}`",
        ) from error


def _leading(machine: Machine, engine: ClusterEngine) -> Control | None:
    try:
        status = engine.node_status()
        alone = sum(node.is_manager and node.reachable for node in engine.nodes()) == 1
    except (QuorumLost, EngineError):
        return None
    return Control(engine, machine.name, status.cluster) if alone and status.cluster else None


def _was_manager(node: SwarmNode) -> bool:
    return node.is_manager or node.role == MANAGER


def _as_it_was(node: SwarmNode) -> NodeSpec:
    former = node.labels.get(DRAINED_LABEL, node.availability)
    kept = {k: v for k, v in node.labels.items() if k not in (MACHINE_LABEL, KEYS_LABEL, DRAINED_LABEL)}
    return NodeSpec(MANAGER, kept, former)


def _node_id(name: str, tools: Services) -> str:
    machine = tools.store.get(name)
    return machine.swarm.node if machine.swarm else ""


def _answer(name: str, tools: Services) -> NodeStatus | None:
    """What a manager that is left says; None where it does not answer, or is none."""
    machine = tools.store.get(name)
    try:
        with engine_of(machine, tools) as engine:
            status = joined_state(engine, machine, tools, patience=START_PATIENCE)
    except PymachineError:
        return None
    # One that restarted without the others waits for them, and does not call itself a manager meanwhile.
    return status if status.control or status.state == PENDING else None


def _can_change(name: str, tools: Services) -> bool:
    with engine_of(tools.store.get(name), tools) as engine:
        try:
            engine.nodes()
        except EngineError:
            return False
        return True
