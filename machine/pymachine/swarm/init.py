"""The first manager of a Swarm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pymachine.errors import CheckFailed
from pymachine.fleet.inventory.model import NodeSpec, SwarmSpec
from pymachine.model import Machine, Membership
from pymachine.steps.services import Services
from pymachine.steps.session import Session
from pymachine.store import readable
from pymachine.swarm.control import UNLOCK_KEY, addresses_of, engine_of, joined_state, member_at_work
from pymachine.swarm.node_ports import open_to_neighbours
from pymachine.swarm.nodes import fit
from pymachine.swarm.quorum import refuse_live_restore
from pymachine.swarm.settings import settings_of
from pymachine.swarm_api.addresses import advertised, check_advertised, check_pools, free_pool
from pymachine.swarm_api.protocol import (
    ACTIVE,
    DATA_PATH_PORT,
    INACTIVE,
    ClusterEngine,
    NodeStatus,
    Rotation,
    SwarmInit,
)
from pymachine.swarm_api.view import MACHINE_LABEL, MANAGER


def init(
    name: str, spec: SwarmSpec, node: NodeSpec, tools: Services, *, peers: Sequence[str] = (), keep: bool = False
) -> Machine:
    """Make the machine the first manager of a new Swarm, or see that it is; return its record.

    ``peers`` are machines that are to join: their addresses tell which of its own the machine tells them, and which
    networks are taken. A key that unlocks the managers is in the store before anything else is done. A machine that
    is a manager already is brought to what ``spec`` and ``node`` say, or left as it is with ``keep``.
    """
    with member_at_work(name, "init", tools) as (session, machine), engine_of(machine, session.tools) as engine:
        status = joined_state(engine, machine, tools)
        if status.state == INACTIVE:
            others = [tools.store.get(peer) for peer in peers if peer != name]
            open_to_neighbours(machine, spec.data_path_port or DATA_PATH_PORT, session)
            engine.init(_founding(machine, status, engine, (spec, node), others, tools))
        else:
            _refuse_another(machine, status, engine, tools)
            if not keep:
                engine.change_cluster(settings_of(spec), Rotation())
        machine = _remembered(machine, engine, session)
        if status.state == INACTIVE or not keep:
            fit(machine, node, engine)
        return machine


def advertised_by(machine: Machine, node: NodeSpec, peers: Iterable[str]) -> str:
    """Return the address that the machine tells the others, who have these: the one asked for, or found by rule."""
    if node.advertise:
        return check_advertised(machine.name, node.advertise)
    reached = machine.endpoint.host if machine.endpoint else ""
    return advertised(machine.name, machine.addresses, reached, peers)


def _founding(
    machine: Machine,
    status: NodeStatus,
    engine: ClusterEngine,
    wanted: tuple[SwarmSpec, NodeSpec],
    peers: Sequence[Machine],
    tools: Services,
) -> SwarmInit:
    refuse_live_restore(machine.name, status)
    spec, node = wanted
    advertise = advertised_by(machine, node, addresses_of(peers))
    taken = _taken(engine, [machine, *peers])
    pools = check_pools(spec.address_pools, spec.subnet_size, taken)
    if not pools and (pool := free_pool(taken)):
        pools = (pool,)
        tools.reporter.notice(machine.name, f"hosts are in 10.0.0.0/8: overlay networks are taken from {pool}")
    return SwarmInit(advertise, pools, spec.subnet_size, spec.data_path_port, settings_of(spec))


def _taken(engine: ClusterEngine, machines: Sequence[Machine]) -> list[tuple[str, str]]:
    """The addresses of the hosts and the networks of the engine's bridges, with whose they are."""
    hosts = [(address, f"an address of {m.name}") for m in machines for address in addresses_of([m])]
    return [*hosts, *((network, "a network of the engine's own") for network in engine.networks())]


def _refuse_another(machine: Machine, status: NodeStatus, engine: ClusterEngine, tools: Services) -> None:
    """Go on with a Swarm that an earlier call began, and with no other one. Raises ``CheckFailed``."""
    if status.state != ACTIVE or not status.control:
        raise CheckFailed(
            f"{machine.name} is a node of a Swarm already ({status.state}, no manager)",
            hint=f"`pymachine swarm leave {machine.name}` removes it",
        )
    if machine.swarm is not None and machine.swarm.cluster == status.cluster:
        return
    ours = {record.id for record in readable(tools.store)}
    strange = [
        node.hostname
        for node in engine.nodes()
        if node.id != status.node and node.labels.get(MACHINE_LABEL) not in ours
    ]
    if strange:
        raise CheckFailed(
            f"{machine.name} is a manager of Swarm {status.cluster} already, beside {', '.join(strange)}",
            hint=f"`pymachine swarm join --to {machine.name} {machine.name}` records it",
        )
    tools.reporter.notice(machine.name, f"continues with Swarm {status.cluster}, of which it is already the manager")


def _remembered(machine: Machine, engine: ClusterEngine, session: Session) -> Machine:
    """Save the key before anything that may fail: without it, a manager that restarts is lost."""
    key = engine.unlock_key().encode()
    status = engine.node_status()
    membership = Membership(status.cluster, status.node, MANAGER)
    return session.save(machine.with_(swarm=membership), {UNLOCK_KEY: key} if key else None)
