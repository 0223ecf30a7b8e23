"""One look at a Swarm, and whose machines its nodes are."""

from __future__ import annotations

from collections.abc import Sequence

from pymachine.errors import CheckFailed, PymachineError, QuorumLost
from pymachine.events import surveying
from pymachine.model import Machine
from pymachine.parallel import together
from pymachine.steps.services import Services
from pymachine.store import readable
from pymachine.swarm.control import Control, control, engine_of, is_node_of, managers_of, members_of
from pymachine.swarm_api.protocol import LOCKED, NodeStatus
from pymachine.swarm_api.view import MANAGER, ClusterView, Member, SwarmNode


def status(tools: Services, names: Sequence[str] = ()) -> ClusterView:
    """Look at the Swarm of these machines, or at the one that the store knows of. Changes and unlocks nothing.

    Raises ``CheckFailed`` where no machine is a member, or where they are members of several.
    """
    cluster = the_cluster(tools, names)
    via = managers_of(cluster, tools) if cluster else list(names)
    try:
        with surveying(tools.reporter, "asking the Swarm"), control(tools, via, unlock=False) as manager:
            return _view(manager, tools)
    except PymachineError as error:
        if not cluster:
            raise
        statuses = _statuses(via, tools)
        lost = isinstance(error, QuorumLost) or _too_few(statuses)
        return ClusterView(
            cluster, locked=_locked(statuses), silent=_silent(statuses), lost=lost, trouble=error.message
        )


def the_cluster(tools: Services, names: Sequence[str] = ()) -> str:
    """Return the id of the Swarm meant; empty where the machines named are in none by their records.

    Raises ``CheckFailed`` where that is not one, or no machine is named and none is a member.
    """
    machines = [tools.store.get(name) for name in names] if names else readable(tools.store)
    found: dict[str, list[str]] = {}
    for machine in machines:
        if machine.swarm is not None:
            found.setdefault(machine.swarm.cluster, []).append(machine.name)
    if len(found) > 1:
        told = "; ".join(f"{', '.join(members[:4])} of one" for members in found.values())
        raise CheckFailed(f"these are {len(found)} Swarms: {told}", hint="name a machine of one of them")
    if not found and not names:
        raise CheckFailed("no machine is a member of a Swarm", hint="`pymachine swarm create MANAGER` makes one")
    return next(iter(found), "")


def _view(manager: Control, tools: Services) -> ClusterView:
    nodes = manager.nodes()
    known = readable(tools.store)
    members = tuple(Member(_machine_of(node, known), node) for node in nodes)
    named = {member.machine for member in members}
    ours = members_of(manager.cluster, tools)
    missing = tuple(machine.name for machine in ours if machine.name not in named)
    mute = [m.machine for m in members if m.machine and m.node.is_manager and not m.node.reachable]
    statuses = _statuses([*mute, *_managers(ours, missing)], tools)
    return ClusterView(
        manager.cluster,
        members,
        manager.machine,
        manager.engine.cluster().autolock,
        missing,
        _locked(statuses),
        _silent(statuses),
    )


def _machine_of(node: SwarmNode, known: Sequence[Machine]) -> str:
    return next((machine.name for machine in known if is_node_of(machine, node)), "")


def _managers(machines: Sequence[Machine], names: Sequence[str]) -> list[str]:
    return [m.name for m in machines if m.name in names and m.swarm is not None and m.swarm.role == MANAGER]


def _statuses(names: Sequence[str], tools: Services) -> dict[str, NodeStatus | None]:
    with surveying(tools.reporter, "asking managers", names) as seen:

        def ask(name: str) -> NodeStatus | None:
            status = _status_of(name, tools)
            seen(name)
            return status

        return together(names, ask)


def _status_of(name: str, tools: Services) -> NodeStatus | None:
    """What the machine's engine says; None where it does not answer."""
    try:
        with engine_of(tools.store.get(name), tools) as engine:
            return engine.node_status()
    except PymachineError:
        return None


def _locked(statuses: dict[str, NodeStatus | None]) -> tuple[str, ...]:
    return tuple(name for name, status in statuses.items() if status is not None and status.state == LOCKED)


def _silent(statuses: dict[str, NodeStatus | None]) -> tuple[str, ...]:
    return tuple(name for name, status in statuses.items() if status is None)


def _too_few(statuses: dict[str, NodeStatus | None]) -> bool:
    """Whether those that take part are no majority of the managers on record."""
    active = sum(status is not None and status.control for status in statuses.values())
    return 0 < active <= len(statuses) // 2
