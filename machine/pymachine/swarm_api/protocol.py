"""What verbs ask of an engine that is, or will be, a Swarm node. ``swarm_api.docker_sdk`` is the real one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from pymachine.model import Endpoint
from pymachine.swarm_api.containers import Container
from pymachine.swarm_api.services import Service
from pymachine.swarm_api.view import SwarmNode

INACTIVE, PENDING, ACTIVE, ERROR, LOCKED = "inactive", "pending", "active", "error", "locked"
DATA_PATH_PORT = 4789  # UDP; VXLAN's own (RFC 7348), which engines take unless told otherwise


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How an engine says that it takes part in a Swarm: what is found, where a ``Membership`` is on record and a
    ``NodeSpec`` is wanted.

    ``state`` is ``inactive``, ``pending``, ``active``, ``error`` or ``locked``. Workers know the ``cluster``'s id as
    little as managers without a majority do: it is empty then. ``address`` is the one it tells the others;
    ``managers`` are node ids and ``host:port`` of managers it knows. ``control`` says that it is a manager.
    ``firewall`` is what it writes its rules with (``iptables``, ``nftables``), empty where it does not say.
    """

    state: str = INACTIVE
    node: str = ""
    cluster: str = ""
    address: str = ""
    managers: tuple[tuple[str, str], ...] = ()
    control: bool = False
    trouble: str = ""
    hostname: str = ""
    live_restore: bool = False
    firewall: str = ""


@dataclass(frozen=True, slots=True)
class SwarmSettings:
    """What can be set of a Swarm; None leaves it to the engine, or as it is. Durations are seconds."""

    autolock: bool | None = None
    task_history: int | None = None
    certificate_life: int | None = None
    heartbeat: int | None = None


@dataclass(frozen=True, slots=True)
class SwarmInit:
    """What a new Swarm begins with, and keeps for good. ``pools`` are networks, cut into ``/subnet_size`` pieces."""

    advertise: str
    pools: tuple[str, ...] = ()
    subnet_size: int = 24
    data_path_port: int | None = None
    settings: SwarmSettings = field(default_factory=SwarmSettings)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Swarm as its managers know it. Whoever has a token can join; a token belongs to the CA's root certificate.

    Overlay traffic goes to UDP ``data_path_port`` of every node.
    """

    id: str
    autolock: bool = False
    settings: SwarmSettings = field(default_factory=SwarmSettings)
    pools: tuple[str, ...] = ()
    data_path_port: int = DATA_PATH_PORT
    worker_token: str = field(default="", repr=False)
    manager_token: str = field(default="", repr=False)
    rotating: bool = False


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What is to become of a node; None leaves it as it is. ``labels`` makes new labels out of the present ones."""

    role: str | None = None
    availability: str | None = None
    labels: Callable[[dict[str, str]], dict[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Rotation:
    """What is to be replaced: the tokens, the key that unlocks managers, the certificate authority."""

    worker_token: bool = False
    manager_token: bool = False
    unlock_key: bool = False
    authority: bool = False


class ClusterEngine(Protocol):
    """One engine, spoken to over one connection; not for several threads at once.

    Every method may raise ``Unreachable``, ``TlsError`` or ``EngineError``; those from ``cluster`` on work on
    managers only, and raise ``QuorumLost`` where these have no majority.
    """

    def node_status(self) -> NodeStatus:
        """Return the engine's place."""

    def networks(self) -> tuple[str, ...]:
        """Return the networks (``172.17.0.0/16``) of the engine's own bridges."""

    def containers(self, project: str) -> tuple[Container, ...]:
        """Return the containers of a Compose project, those that do not run too; in the order of their names."""

    def container_logs(self, container: str, lines: int) -> tuple[str, ...]:
        """Return the last lines of a container's log. Raises ``EngineError`` where the engine cannot read it."""

    def init(self, founding: SwarmInit) -> str:
        """Make the engine the first manager of a new Swarm; return its node id."""

    def force_new_cluster(self, advertise: str) -> None:
        """Make the engine, a manager without a majority, the only manager of its Swarm."""

    def join(self, managers: tuple[str, ...], token: str, advertise: str) -> None:
        """Ask managers (``host:port``) to be let in. An engine that is not let in within 20 s goes on trying by
        itself: the status shows how that ends.
        """

    def leave(self, *, force: bool = False) -> None:
        """Leave. With ``force`` also as a manager, which the other managers then count as one that failed."""

    def unlock(self, key: str) -> None:
        """Unlock a manager that restarted."""

    def cluster(self) -> Cluster:
        """Return the Swarm."""

    def unlock_key(self) -> str:
        """Return the key that unlocks managers, empty where they do not lock themselves."""

    def change_cluster(self, settings: SwarmSettings, rotation: Rotation) -> None:
        """Change settings, and replace keys."""

    def nodes(self) -> tuple[SwarmNode, ...]:
        """Return all nodes, in the order of their host names."""

    def change_node(self, node: str, change: NodeChange) -> None:
        """Change a node; again where somebody else changed it at the same moment."""

    def remove_node(self, node: str, *, force: bool = False) -> None:
        """Forget a node; one that is not down only with ``force``. It may be gone already."""

    def tasks_on(self, node: str) -> int:
        """Return how many tasks of services have not stopped on a node."""

    def services(self, stack: str = "") -> tuple[Service, ...]:
        """Return the services of a stack, or of all stacks, with their tasks counted; in the order of their names."""

    def logs(self, service: str, lines: int) -> tuple[str, ...]:
        """Return the last lines of a service's log. Raises ``EngineError`` where the engine cannot read it."""

    def close(self) -> None:
        """Give the connection back."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ConnectCluster(Protocol):
    """Opens a connection to an engine; ``pymachine.swarm_api.connect`` in earnest."""

    def __call__(self, endpoint: Endpoint, folder: Path | None, *, deadline: float) -> ClusterEngine:
        """Connect: over TLS with the files in ``folder``, else without. Each answer may take ``deadline`` seconds.

        Raises ``Unreachable``, ``TlsError``, ``EngineError``; the last also for an engine that is too old.
        """
