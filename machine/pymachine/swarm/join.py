"""Machines that join a Swarm, or are found to be in it already."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from pymachine.errors import CheckFailed, EngineError, PymachineError
from pymachine.fleet.inventory.model import NodeSpec
from pymachine.model import Machine
from pymachine.steps.services import Services
from pymachine.steps.session import Session
from pymachine.swarm.control import (
    JOIN_PATIENCE,
    UNLOCK_KEY,
    Control,
    addresses_of,
    awaited,
    engine_of,
    joined_state,
    member_at_work,
    unlocked,
)
from pymachine.swarm.init import advertised_by
from pymachine.swarm.node_ports import open_to_neighbours
from pymachine.swarm.nodes import fit, forget, remember, take_role
from pymachine.swarm.quorum import refuse_live_restore
from pymachine.swarm.quorum_lease import leads, managers_held
from pymachine.swarm_api.addresses import overlap
from pymachine.swarm_api.protocol import ACTIVE, ERROR, INACTIVE, Cluster, ClusterEngine, NodeStatus
from pymachine.swarm_api.view import MACHINE_LABEL, MANAGER, SwarmNode


def join(name: str, node: NodeSpec, tools: Services, *, via: Sequence[str], keep: bool = False) -> Machine:
    """Make the machine a node of the Swarm whose managers ``via`` are; return its record.

    One that is a node of it already is brought to what ``node`` says, or taken up as it is with ``keep``; one of
    another Swarm is refused. Managers are to join one after another, workers may do so at once.
    """
    leading = node.role == MANAGER
    with (
        member_at_work(name, "join", tools) as (session, machine),
        managers_held(
            machine, "join of manager", lambda m: leads(machine, m) != leading, session.tools, via
        ) as manager,
        engine_of(machine, session.tools) as engine,
    ):
        listed = _listed_node(machine, manager, engine, tools)
        if listed is not None and keep:
            return remember(machine, listed, manager, session)
        if node.role == MANAGER and (key := manager.engine.unlock_key()):  # stored before it can lock itself
            machine = session.save(machine, {UNLOCK_KEY: key.encode()})
        listed = listed or _join(machine, node, manager, engine, session)
        machine = remember(machine, listed, manager, session)
        machine = take_role(machine, node.role, manager, session)
        fit(machine, node, manager.engine)
        return machine


def _listed_node(machine: Machine, manager: Control, engine: ClusterEngine, tools: Services) -> SwarmNode | None:
    """Return the node that the engine is in this very Swarm already; None once it is in none."""
    status = unlocked(engine, machine, tools)
    if not _was_struck_off(machine, status, manager):
        status = joined_state(engine, machine, tools)
    if status.state == INACTIVE:
        refuse_live_restore(machine.name, status)
        return None
    listed = manager.find(status.node) if status.node else None
    if status.state == ACTIVE and listed is not None:
        return listed
    _refuse_another(machine, status, manager)
    engine.leave(force=True)  # of this Swarm, which has forgotten it
    return None


def _was_struck_off(machine: Machine, status: NodeStatus, manager: Control) -> bool:
    """Whether it was a node of this Swarm and is none any more: what it waits for will not come."""
    on_record = machine.swarm is not None and machine.swarm.cluster == manager.cluster
    return on_record and bool(status.node) and manager.find(status.node) is None


def _refuse_another(machine: Machine, status: NodeStatus, manager: Control) -> None:
    """Compare identities: an engine that is a node of another Swarm must not leave it."""
    ours = {node.id for node in manager.nodes()}
    follows_others = bool(status.managers) and ours.isdisjoint(node for node, _ in status.managers)
    on_record = machine.swarm is not None and machine.swarm.cluster == manager.cluster and not follows_others
    arrived = status.state == ACTIVE or status.control
    if status.cluster == manager.cluster or (not status.cluster and (on_record or not arrived)):
        return
    of = f" {status.cluster}" if status.cluster else ""
    raise CheckFailed(
        f"{machine.name} is a node of another Swarm{of}, not of that of {manager.machine} ({manager.cluster})",
        hint=f"`pymachine swarm leave {machine.name}` removes it from that one first",
    )


def _join(machine: Machine, node: NodeSpec, manager: Control, engine: ClusterEngine, session: Session) -> SwarmNode:
    nodes, tools = manager.nodes(), session.tools
    for former in filter(lambda node: _was(machine, node), nodes):
        forget(machine.name, former.id, manager, tools)  # who left stays in the list, and joins under a new id
    managers = _addresses(nodes)
    cluster = manager.engine.cluster()
    _tell_of_clash(machine, cluster, tools)
    open_to_neighbours(machine, cluster.data_path_port, session)
    token = cluster.manager_token if node.role == MANAGER else cluster.worker_token
    peers = [found.address for found in nodes if found.address]
    advertise = advertised_by(machine, node, peers)
    try:
        engine.join(managers, token, advertise)
        return _arrived(machine, node.role, manager, engine, tools)
    except PymachineError:
        with suppress(PymachineError):
            _stop_trying(engine)
        raise


def _was(machine: Machine, node: SwarmNode) -> bool:
    """Whether a node is what a machine was that is in no Swarm now; it may not have been missed yet."""
    on_record = machine.swarm is not None and machine.swarm.node == node.id
    return on_record or node.labels.get(MACHINE_LABEL) == machine.id


def _tell_of_clash(machine: Machine, cluster: Cluster, tools: Services) -> None:
    """A Swarm's pools are for life, so that a host which came later can only be told."""
    for address in addresses_of([machine]):
        pool = next((pool for pool in cluster.pools if overlap(pool, address)), None)
        if pool is not None:
            tools.reporter.notice(
                machine.name,
                f"its address {address} is in {pool}, the address pool of the overlay networks: a network that "
                "contains it makes the host unreachable for its tasks; give networks separate subnets",
            )


def _arrived(machine: Machine, role: str, manager: Control, engine: ClusterEngine, tools: Services) -> SwarmNode:
    def find_listed() -> SwarmNode | None:
        status = engine.node_status()
        if status.state != ACTIVE or not status.node:
            return _not_yet(machine, status)
        found = manager.find(status.node)
        return found if found is not None and found.ready and (role != MANAGER or found.reachable) else None

    return awaited(
        tools, find_listed, f"{machine.name} to appear in the Swarm", patience=JOIN_PATIENCE, hint=_ports(machine)
    )


def _not_yet(machine: Machine, status: NodeStatus) -> SwarmNode | None:
    if status.state == ERROR:
        raise EngineError(f"{machine.name} was not admitted: {status.trouble}", hint=_ports(machine))
    return None


def _stop_trying(engine: ClusterEngine) -> None:
    """An engine that was not let in tries for ever and is in the way of the next join."""
    if engine.node_status().state != ACTIVE:
        engine.leave(force=True)


def _ports(machine: Machine) -> str:
    return (
        f"between {machine.name} and the managers TCP port 2377 must be open, between all nodes TCP and UDP 7946 "
        "and UDP 4789"
    )


def _addresses(nodes: Sequence[SwarmNode]) -> tuple[str, ...]:
    """Where the managers that answer listen, the leader first."""
    answering = sorted((node for node in nodes if node.reachable), key=lambda node: not node.leader)
    return tuple(node.manager_address for node in answering)
