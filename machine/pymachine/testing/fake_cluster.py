"""Engines that form Swarms nowhere, under the rules that real ones keep: quorum, roles that change late, locks.

What happens by itself on real hosts (a role that follows its spec, a node that is seen down, a join that goes on in
the background) happens here one look at a time: after so many answers of ``nodes`` or ``status``.
"""

from __future__ import annotations

import fcntl
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pymachine.errors import EngineError
from pymachine.model import Endpoint
from pymachine.swarm_api.containers import Container
from pymachine.swarm_api.protocol import (
    ACTIVE,
    DATA_PATH_PORT,
    INACTIVE,
    LOCKED,
    PENDING,
    Cluster,
    NodeChange,
    NodeStatus,
    Rotation,
    SwarmInit,
    SwarmSettings,
)
from pymachine.swarm_api.services import Service
from pymachine.swarm_api.view import MANAGER, WORKER, SwarmNode
from pymachine.testing.fake_swarm import (
    FakeHost,
    FakeState,
    Swarm,
    arrive,
    as_listed,
    count,
    follow_spec,
    go_on_joining,
    host_at,
    is_up,
    let_in,
    merged,
    refuse_member,
    refuse_unreachable,
    refuse_want_of_quorum,
    seat_at,
    seat_of,
    take_seat,
)


class FakeClusters:
    """All engines and their Swarms, in memory or in a file that several processes share."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._memory = FakeState()
        self._lock = threading.RLock()

    def connect(self, endpoint: Endpoint, folder: Path | None, *, deadline: float) -> FakeEngine:
        """Connect to the engine at an address."""
        assert deadline > 0
        with self.lend() as state:
            refuse_unreachable(host_at(state, endpoint.host))
        return FakeEngine(self, endpoint.host)

    @contextmanager
    def host(self, address: str) -> Iterator[FakeHost]:
        """Lend an engine, to look at it or to do something to it."""
        with self.lend() as state:
            yield host_at(state, address)

    def addresses(self) -> list[str]:
        """Return where engines are that were ever spoken to."""
        with self.lend() as state:
            return list(state.hosts)

    def restart(self, address: str) -> None:
        """Restart an engine: a manager of a Swarm that locks itself is locked then."""
        with self.lend() as state:
            host = host_at(state, address)
            host.cut = False
            swarm = state.swarms.get(host.swarm)
            seat = swarm.seats.get(host.node) if swarm else None
            if swarm is not None and swarm.settings.autolock and (seat is None or seat.raft or seat.struck):
                host.state = LOCKED

    def secrets(self) -> list[str]:
        """Return every token and key that is in force: none of them may be seen anywhere."""
        with self.lend() as state:
            kinds = ("worker_token", "manager_token", "unlock_key")
            return [swarm.secret(kind) for swarm in state.swarms.values() for kind in kinds]

    @contextmanager
    def lend(self) -> Iterator[FakeState]:
        """Lend everything, to one at a time."""
        with self._lock:
            if self._path is None:
                yield self._memory
                return
            with self._path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(0)
                content = file.read()
                state = pickle.loads(content) if content else FakeState()  # our own file
                try:
                    yield state
                finally:
                    file.seek(0)
                    file.truncate()
                    pickle.dump(state, file)


class FakeEngine:
    """A connection to one of them."""

    def __init__(self, clusters: FakeClusters, address: str) -> None:
        self._clusters = clusters
        self._address = address

    def node_status(self) -> NodeStatus:
        """Return the engine's place; a join that goes on in the background comes a look nearer."""
        with self._asked("status") as (state, host):
            go_on_joining(host, state)
            swarm = state.swarms.get(host.swarm) if host.state == ACTIVE else None
            seat = swarm.seats.get(host.node) if swarm else None
            control = seat is not None and seat.raft
            known = [s for s in swarm.seats.values() if s.raft] if swarm else []
            return NodeStatus(
                state=host.state,
                node=host.node if host.state == ACTIVE else "",
                cluster=swarm.id if swarm and control and count(swarm, state).holds else "",
                address=host.advertised,
                managers=tuple((s.node.id, s.node.manager_address) for s in known),
                control=control,
                hostname=host.hostname,
                live_restore=host.live_restore,
            )

    def networks(self) -> tuple[str, ...]:
        """Return the networks of its bridges."""
        with self._asked("networks") as (_, host):
            return host.networks

    def containers(self, project: str) -> tuple[Container, ...]:
        """Return the containers that were put there."""
        with self._asked("containers") as (_, host):
            return tuple(container for container in host.containers if container.project == project)

    def container_logs(self, container: str, lines: int) -> tuple[str, ...]:
        """Return the last of the lines that were put there."""
        with self._asked("container_logs") as (_, host):
            return host.logs.get(container, ())[-lines:]

    def init(self, founding: SwarmInit) -> str:
        """Begin a Swarm."""
        with self._asked("init") as (state, host):
            refuse_member(host)
            if host.live_restore:
                raise EngineError("--live-restore daemon configuration is incompatible with swarm mode")
            state.made += 1
            swarm = Swarm(f"swarm{state.made}", founding, settings=merged(SwarmSettings(), founding.settings))
            state.swarms[swarm.id] = swarm
            host.advertised = founding.advertise
            return take_seat(host, swarm, state, MANAGER).node.id

    def force_new_cluster(self, advertise: str) -> None:
        """Go on alone."""
        with self._asked("force_new_cluster") as (state, host):
            swarm = state.swarms[host.swarm]
            if host.state != ACTIVE or not seat_of(host, swarm).raft:
                raise EngineError("this node is not a swarm manager")
            if swarm.settings.autolock:
                host.state = INACTIVE
                raise EngineError("swarm is encrypted and needs to be unlocked before it can be used")
            for seat in swarm.seats.values():
                seat.raft = seat.node.id == host.node
                seat.struck = not seat.raft
            host.advertised = advertise

    def join(self, managers: tuple[str, ...], token: str, advertise: str) -> None:
        """Ask to be let in; an engine that is not is on its way for ever."""
        with self._asked("join") as (state, host):
            refuse_member(host)
            swarm = let_in(managers, state)
            if swarm is not None and token not in (swarm.secret("worker_token"), swarm.secret("manager_token")):
                raise EngineError("invalid join token")
            host.advertised = advertise
            host.state = PENDING
            if swarm is None or host.blocked:
                host.slow = 1_000_000
                return
            role = MANAGER if token == swarm.secret("manager_token") else WORKER
            refuse_want_of_quorum(swarm, state)
            host.swarm = swarm.id
            host.node = role  # until it arrives
            if not host.slow:
                arrive(host, state)

    def leave(self, *, force: bool = False) -> None:
        """Leave; a manager only with ``force``, and then the others count it still."""
        with self._asked("leave forced" if force else "leave") as (state, host):
            if host.state == INACTIVE:
                raise EngineError("this node is not part of a swarm")
            swarm = state.swarms.get(host.swarm)
            seat = swarm.seats.get(host.node) if swarm else None
            if seat is not None and seat.raft and not force:
                raise EngineError(
                    "you are attempting to leave the swarm on a node that is participating as a manager"
                )
            host.state, host.swarm, host.node, host.slow = INACTIVE, "", "", 0

    def unlock(self, key: str) -> None:
        """Unlock."""
        with self._asked("unlock") as (state, host):
            if host.state != LOCKED:
                raise EngineError("swarm is not locked")
            if key != state.swarms[host.swarm].secret("unlock_key"):
                raise EngineError("swarm could not be unlocked: invalid key provided")
            host.state = ACTIVE

    def cluster(self) -> Cluster:
        """Return the Swarm."""
        with self._managing("cluster") as (_, _, swarm):
            tokens = swarm.secret("worker_token"), swarm.secret("manager_token")
            founding = swarm.founding
            port = founding.data_path_port or DATA_PATH_PORT
            return Cluster(swarm.id, bool(swarm.settings.autolock), swarm.settings, founding.pools, port, *tokens)

    def unlock_key(self) -> str:
        """Return the key."""
        with self._managing("unlock_key") as (_, _, swarm):
            return swarm.secret("unlock_key") if swarm.settings.autolock else ""

    def change_cluster(self, settings: SwarmSettings, rotation: Rotation) -> None:
        """Change settings and keys."""
        with self._managing("change_cluster") as (_, _, swarm):
            swarm.settings = merged(swarm.settings, settings)
            wanted = {"worker_token": rotation.worker_token, "manager_token": rotation.manager_token}
            wanted |= {"unlock_key": rotation.unlock_key, "authority": rotation.authority}
            swarm.generation.update(kind for kind, asked in wanted.items() if asked)

    def nodes(self) -> tuple[SwarmNode, ...]:
        """Return all nodes; what was asked of them comes a look nearer."""
        with self._managing("nodes") as (state, _, swarm):
            for seat in swarm.seats.values():
                follow_spec(seat)
            found = (as_listed(seat, swarm, state) for seat in swarm.seats.values())
            return tuple(sorted(found, key=lambda node: (node.hostname, node.id)))

    def change_node(self, node: str, change: NodeChange) -> None:
        """Change a node; its role follows later."""
        with self._managing("change_node") as (state, _, swarm):
            seat = seat_at(node, swarm)
            if change.role == WORKER and seat.struck:
                raise EngineError("can't find manager in raft memberlist")
            if change.role == WORKER and seat.raft:
                left = count(swarm, state).without(reachable=is_up(seat, swarm, state))
                if not left.holds:
                    raise EngineError("attempting to demote the last manager of the swarm, or losing its quorum")
            labels = change.labels(dict(seat.node.labels)) if change.labels else seat.node.labels
            role, availability = change.role or seat.node.role, change.availability or seat.node.availability
            seat.late = 1 if role != seat.node.role else seat.late
            seat.node = replace(seat.node, role=role, availability=availability, labels=labels)

    def remove_node(self, node: str, *, force: bool = False) -> None:
        """Take a node off the list."""
        with self._managing("remove_node") as (state, _, swarm):
            seat = swarm.seats.get(node)
            if seat is None:
                return
            if seat.raft:
                raise EngineError(f"node {node} is a cluster manager and is a member of the raft cluster")
            if is_up(seat, swarm, state) and not force:
                raise EngineError(f"node {node} is not down and can't be removed")
            del swarm.seats[node]

    def tasks_on(self, node: str) -> int:
        """Return how many tasks run there; on one that is drained they stop one by one."""
        with self._managing("tasks_on") as (state, _, swarm):
            seat = seat_at(node, swarm)
            host = state.hosts[seat.host]
            if seat.node.availability != "drain":
                return host.tasks
            left = swarm.tasks.get(node, host.tasks)
            swarm.tasks[node] = max(left - 1, 0)
            return left

    def services(self, stack: str = "") -> tuple[Service, ...]:
        """Return the services that were put there."""
        with self._managing("services") as (_, _, swarm):
            found = (service for service in swarm.services.values() if stack in ("", service.stack))
            return tuple(sorted(found, key=lambda service: service.name))

    def logs(self, service: str, lines: int) -> tuple[str, ...]:
        """Return the last of the lines that were put there."""
        with self._managing("logs") as (_, _, swarm):
            return swarm.logs.get(service, ())[-lines:]

    def close(self) -> None:
        """Nothing was opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _asked(self, what: str) -> Iterator[tuple[FakeState, FakeHost]]:
        with self._clusters.lend() as state:
            host = host_at(state, self._address)
            refuse_unreachable(host)
            host.calls.append(what)
            yield state, host

    @contextmanager
    def _managing(self, what: str) -> Iterator[tuple[FakeState, FakeHost, Swarm]]:
        with self._asked(what) as (state, host):
            if host.state == LOCKED:
                raise EngineError("swarm is encrypted and needs to be unlocked before it can be used")
            swarm = state.swarms.get(host.swarm)
            seat = swarm.seats.get(host.node) if swarm else None
            if host.state != ACTIVE or swarm is None or seat is None or not seat.raft:
                raise EngineError("this node is not a swarm manager")
            refuse_want_of_quorum(swarm, state)
            yield state, host, swarm
