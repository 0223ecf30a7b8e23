"""What a Swarm nowhere is made of, and the rules that it keeps; ``fake_cluster`` speaks for its engines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from pymachine.errors import EngineError, QuorumLost, Unreachable
from pymachine.swarm_api.containers import Container
from pymachine.swarm_api.documents import settings_of, spec_with
from pymachine.swarm_api.protocol import ACTIVE, INACTIVE, PENDING, SwarmInit, SwarmSettings
from pymachine.swarm_api.services import Service
from pymachine.swarm_api.view import MANAGER, Quorum, SwarmNode


@dataclass
class FakeHost:
    """An engine. ``cut`` says that nothing reaches it, ``blocked`` that no manager lets it in; ``slow`` is how many
    looks its next join takes. ``tasks`` is how many run on it while it is active, ``containers`` are those of
    projects, ``logs`` theirs by their ids.
    """

    address: str
    hostname: str
    state: str = INACTIVE
    swarm: str = ""
    node: str = ""
    cut: bool = False
    blocked: bool = False
    slow: int = 0
    live_restore: bool = False
    networks: tuple[str, ...] = ("172.17.0.0/16",)
    engine: str = "26.1.5"
    tasks: int = 0
    containers: tuple[Container, ...] = ()
    logs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    advertised: str = ""
    calls: list[str] = field(default_factory=list)


@dataclass
class FakeSeat:
    """A node, the address of its engine, and whether it is a manager by now."""

    node: SwarmNode
    host: str
    raft: bool
    late: int = 0  # looks until what was requested is so
    struck: bool = False  # no manager any more, whatever it is asked to be: the Swarm went on without it


@dataclass
class Swarm:
    """A Swarm: what it began with, its nodes, and how often each of its keys was replaced."""

    id: str
    founding: SwarmInit
    seats: dict[str, FakeSeat] = field(default_factory=dict)
    settings: SwarmSettings = field(default_factory=SwarmSettings)
    generation: Counter[str] = field(default_factory=Counter)
    tasks: dict[str, int] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    logs: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def secret(self, what: str) -> str:
        """A token or key: another one after each rotation."""
        return f"{what}-{self.id}-{self.generation[what] + self.generation['authority']}"


@dataclass
class FakeState:
    """Everything there is."""

    hosts: dict[str, FakeHost] = field(default_factory=dict)
    swarms: dict[str, Swarm] = field(default_factory=dict)
    made: int = 0


def host_at(state: FakeState, address: str) -> FakeHost:
    """Return the engine at an address: one that nobody knew is a new one."""
    return state.hosts.setdefault(address, FakeHost(address, f"host-{address.rpartition('.')[2]}"))


def refuse_unreachable(host: FakeHost) -> None:
    """Refuse to be reached while it is cut off."""
    if host.cut:
        raise Unreachable(f"nothing answers at {host.address}", hint="switch it on")


def refuse_member(host: FakeHost) -> None:
    """Refuse an engine that is in a Swarm."""
    if host.state != INACTIVE:
        raise EngineError("this node is already part of a swarm")


def refuse_want_of_quorum(swarm: Swarm, state: FakeState) -> None:
    """Refuse where the managers have no majority."""
    if not count(swarm, state).holds:
        raise QuorumLost("the swarm does not have a leader", hint="start the managers that are off")


def let_in(managers: tuple[str, ...], state: FakeState) -> Swarm | None:
    """The Swarm of the managers at these addresses, if one of them answers."""
    for swarm in state.swarms.values():
        for seat in swarm.seats.values():
            if seat.raft and seat.node.manager_address in managers and is_up(seat, swarm, state):
                return swarm
    return None


def go_on_joining(host: FakeHost, state: FakeState) -> None:
    """Let a join that goes on in the background come a look nearer."""
    if host.state != PENDING:
        return
    host.slow -= 1
    if host.slow <= 0:
        arrive(host, state)


def arrive(host: FakeHost, state: FakeState) -> None:
    """Make an engine that was let in a node."""
    host.slow = 0
    take_seat(host, state.swarms[host.swarm], state, host.node)


def take_seat(host: FakeHost, swarm: Swarm, state: FakeState, role: str) -> FakeSeat:
    """Make an engine a node of a Swarm."""
    state.made += 1
    host.state, host.swarm, host.node = ACTIVE, swarm.id, f"node{state.made}"
    node = SwarmNode(host.node, host.hostname, role, address=host.advertised, engine=host.engine)
    node = replace(node, manager_address=f"{host.advertised}:2377")
    seat = FakeSeat(node, host.address, raft=role == MANAGER)
    swarm.seats[node.id] = seat
    swarm.tasks.pop(node.id, None)
    return seat


def seat_of(host: FakeHost, swarm: Swarm) -> FakeSeat:
    """Return an engine's own node."""
    return swarm.seats[host.node]


def seat_at(node: str, swarm: Swarm) -> FakeSeat:
    """Return a node by its id."""
    if node not in swarm.seats:
        raise EngineError(f"node {node} not found")
    return swarm.seats[node]


def is_up(seat: FakeSeat, swarm: Swarm, state: FakeState) -> bool:
    """Whether the engine of a node answers the others."""
    host = state.hosts[seat.host]
    return not host.cut and host.state == ACTIVE and (host.swarm, host.node) == (swarm.id, seat.node.id)


def count(swarm: Swarm, state: FakeState) -> Quorum:
    """Count the managers, and those that answer each other."""
    managers = [seat for seat in swarm.seats.values() if seat.raft]
    return Quorum(len(managers), sum(is_up(seat, swarm, state) for seat in managers))


def follow_spec(seat: FakeSeat) -> None:
    """Let a role be what its spec says, a look later than it was requested."""
    if seat.struck or seat.raft == (seat.node.role == MANAGER):
        return
    if seat.late:
        seat.late -= 1
    else:
        seat.raft = seat.node.role == MANAGER


def as_listed(seat: FakeSeat, swarm: Swarm, state: FakeState) -> SwarmNode:
    """Return a node as a manager lists it."""
    up = is_up(seat, swarm, state)
    leader = next((s for s in swarm.seats.values() if s.raft and is_up(s, swarm, state)), None)
    return replace(
        seat.node,
        state="ready" if up else "down",
        engine=state.hosts[seat.host].engine,
        manager_address=seat.node.manager_address if seat.raft else "",
        reachable=seat.raft and up,
        leader=seat is leader,
    )


def merged(settings: SwarmSettings, wanted: SwarmSettings) -> SwarmSettings:
    """Return settings with those that are wanted."""
    return settings_of(spec_with(spec_with({}, settings), wanted))
