"""Nodes that are taken away without a drain: whether their Swarm can spare them, and that the others know it.

The managers are counted before, under the lease on them, and the lease is held until what was done shows in the next
count: until the others list a manager that stays away as unreachable, or one that comes back as ready.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from pymachine.errors import CheckFailed, EngineError, PymachineError, QuorumLost
from pymachine.events import Silent
from pymachine.model import Machine
from pymachine.steps.power import reported
from pymachine.steps.services import Services
from pymachine.swarm.control import awaited, control, is_node_of, managers_of
from pymachine.swarm.quorum import may_be_away
from pymachine.swarm.quorum_lease import quorum_held_for
from pymachine.swarm_api.view import MANAGER, RAFT_LEAST, SwarmNode, quorum_of

SEEN_PATIENCE = 60.0  # seconds; managers notice within some 15
BACK_PATIENCE = 240.0
FORCE = "--force continues without the quorum"


def refuse_outage(names: Sequence[str], tools: Services) -> None:
    """Refuse to take these machines away together where a Swarm would lose its quorum. Raises ``CheckFailed``.

    One or two managers never keep it, and a Swarm that has lost it already has nothing left to lose.
    """
    groups: dict[str, list[Machine]] = {}
    for name in names:
        machine = tools.store.find(name)
        if machine is not None and machine.swarm is not None:
            groups.setdefault(machine.swarm.cluster, []).append(machine)
    for cluster, group in groups.items():
        _counted(cluster, group, replace(tools, reporter=Silent()), FORCE)


def refuse_needed(name: str, tools: Services) -> None:
    """Refuse a manager without which the quorum would be lost. Raises ``CheckFailed``; changes and tells nothing."""
    machine = tools.store.get(name)
    with suppress(EngineError):
        _counts(machine, replace(tools, reporter=Silent()))


@contextmanager
def taken_down(
    name: str, purpose: str, tools: Services, *, force: bool = False, way_on: str = FORCE
) -> Iterator[None]:
    """Hold the managers' lease while a machine goes off to stay so, and until the other managers know it.

    Raises ``CheckFailed``, with the hint ``way_on``, where the Swarm would lose its quorum, or cannot be asked;
    ``force`` skips that.
    """
    with quorum_held_for(name, purpose, tools):
        machine = tools.store.find(name)
        counts = not force and machine is not None and _counts(machine, tools, way_on)
        yield
        if counts and machine is not None:
            await_seen_away(machine, tools)


@contextmanager
def restarted(name: str, purpose: str, tools: Services) -> Iterator[None]:
    """Hold the managers' lease while a machine is away undrained, and until it takes part again.

    Raises ``CheckFailed`` where the quorum would be lost meanwhile. Managers that cannot be asked do not prevent it.
    """
    with quorum_held_for(name, purpose, tools):
        machine = tools.store.get(name)
        try:
            counts = machine.swarm is not None and _counts(machine, tools)
        except EngineError as error:
            tools.reporter.notice(name, f"the managers of its Swarm were not counted: {error.message}")
            counts = False
        yield
        if counts:
            _await_back(machine, tools)


def _counts(machine: Machine, tools: Services, way_on: str = "") -> bool:
    """Whether a machine is one of three managers or more that answer; refuse where the others need it."""
    if machine.swarm is None:
        return False
    nodes = _counted(machine.swarm.cluster, [machine], tools, way_on)
    return any(is_node_of(machine, node) and node.reachable for node in nodes) and len(_managers(nodes)) >= RAFT_LEAST


def _counted(cluster: str, group: Sequence[Machine], tools: Services, way_on: str) -> tuple[SwarmNode, ...]:
    """Return the Swarm's nodes, if these machines may be away together; none where the quorum is lost already.

    Managers that cannot be asked are a refusal if three or more are on record, with ``way_on`` as its hint; without
    it their error is raised.
    """
    names = [machine.name for machine in group]
    try:
        nodes = nodes_of(cluster, tools, names)
    except QuorumLost as error:
        for name in names:
            tools.reporter.notice(name, f"its Swarm is not asked: {error.message}")
        return ()
    except PymachineError as error:
        return _unknown(cluster, group, error, tools, way_on)
    going = {machine.name: node for machine in group for node in nodes if is_node_of(machine, node)}
    may_be_away(going, quorum_of(nodes), way_on)
    _tell_outage(going, nodes, tools)
    return nodes


def nodes_of(cluster: str, tools: Services, last: Sequence[str]) -> tuple[SwarmNode, ...]:
    """Ask the managers of a Swarm for its nodes, those in ``last`` last. Raises as ``control`` does."""
    asked = sorted(managers_of(cluster, tools), key=lambda name: name in last)
    with control(tools, asked) as manager:
        return manager.nodes()


def _unknown(
    cluster: str, group: Sequence[Machine], error: PymachineError, tools: Services, way_on: str
) -> tuple[SwarmNode, ...]:
    leading = [machine.name for machine in group if machine.swarm is not None and machine.swarm.role == MANAGER]
    if not leading:
        return ()
    if not way_on:
        raise EngineError(error.message, hint=error.hint)
    if len(managers_of(cluster, tools)) >= RAFT_LEAST:
        raise CheckFailed(
            f"whether the Swarm can do without {', '.join(leading)} could not be asked: {error.message}", hint=way_on
        )
    for name in leading:
        tools.reporter.notice(name, f"it is a manager of a Swarm that could not be asked: {error.message}")
    return ()


def _managers(nodes: Sequence[SwarmNode]) -> list[SwarmNode]:
    return [node for node in nodes if node.is_manager]


def _tell_outage(going: dict[str, SwarmNode], nodes: Sequence[SwarmNode], tools: Services) -> None:
    """Say what one or two managers cost; alone in its Swarm a machine has nobody to leave behind."""
    count = len(_managers(nodes))
    if count >= RAFT_LEAST or len(nodes) == 1:
        return
    which = "the only manager" if count == 1 else f"one of {count} managers"
    for name in (name for name, node in going.items() if node.is_manager):
        tools.reporter.notice(name, f"it is {which}: until it is back the Swarm has no quorum and cannot be changed")


def await_seen_away(machine: Machine, tools: Services) -> None:
    """Wait until the others list a manager as unreachable, so that the next look at the quorum leaves it out."""
    assert machine.swarm is not None
    others = [name for name in managers_of(machine.swarm.cluster, tools) if name != machine.name]

    def seen() -> bool | None:
        with control(tools, others) as manager:
            return None if any(is_node_of(machine, n) and n.reachable for n in manager.nodes()) else True

    with suppress(PymachineError), reported(machine.name, "wait until the other managers notice", tools):
        awaited(tools, seen, f"the other managers to miss {machine.name}", patience=SEEN_PATIENCE)


def _await_back(machine: Machine, tools: Services) -> None:
    assert machine.swarm is not None
    asked = managers_of(machine.swarm.cluster, tools)

    def ready() -> bool | None:
        try:
            with control(tools, asked, last=machine.name) as manager:
                return manager.get(machine).ready or None
        except PymachineError:
            return None

    with reported(machine.name, "wait until it takes part in the Swarm", tools):
        awaited(
            tools, ready, f"{machine.name} to rejoin the Swarm", patience=BACK_PATIENCE,
            hint="`pymachine swarm status` shows its state",
        )  # fmt: skip
