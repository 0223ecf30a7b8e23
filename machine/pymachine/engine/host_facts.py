"""What is known of a host and of the engine on it: values only, found by ``engine.facts``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pymachine.engine.exec_start import flags_of
from pymachine.engine.obstacles import Obstacle
from pymachine.engine.os_family import DockerRepo, OsRelease, parse_os_release

DAEMON_JSON = "/etc/docker/daemon.json"
DATA_ROOT = "/var/lib/docker"


class Asked(StrEnum):
    """How it went to ask somebody on the host: what is not there cannot answer, and no answer is not the same."""

    ANSWERED = "answered"
    ABSENT = "absent"
    UNANSWERED = "unanswered"


class NeighbourKind(StrEnum):
    """What else than the engine of the service manager runs containers, by the word that the survey has for it."""

    SNAP = "snap"
    ROOTLESS = "rootless"
    LOOSE = "loose"  # a dockerd of root's that the engine's unit did not start
    PODMAN = "podman"  # behind the name of Docker's client
    SOCKET = "socket"  # where Docker's clients look, somebody else listens
    SHIM = "shim"  # containers of a containerd: "namespace address count"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One such; ``what`` tells which."""

    kind: NeighbourKind
    what: str = ""


@dataclass(frozen=True, slots=True)
class SocketUnit:
    """One address that systemd opens for the engine: a path, an address with a port, or another kind of socket."""

    unit: str
    address: str

    @property
    def is_tcp(self) -> bool:
        """Whether it is a TCP port: the engine asks for certificates there as soon as it does anywhere."""
        return bool(re.fullmatch(r"(\[[^\]]*\]|[0-9.]+|\*):[0-9]+", self.address))

    @property
    def is_file(self) -> bool:
        """Whether it is a unix socket."""
        return self.address.startswith(("/", "@"))


@dataclass(frozen=True, slots=True)
class Firewall:
    """How the host's firewalls stand to the engine's port.

    ``firewalld`` and ``ufw`` have answered where they are on, and are absent where they are off. ``zone`` is that of
    ``interface``, by which the host was reached, and is empty where it could not be asked; ``is_open`` says that the
    port is open there, ``ufw_allows`` that ufw lets somebody in.
    """

    firewalld: Asked = Asked.ABSENT
    interface: str = ""
    zone: str = ""
    is_open: bool = False
    ufw: Asked = Asked.ABSENT
    ufw_allows: bool = False


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The engine that is on the host already.

    ``package`` and ``package_version`` are the owner of ``dockerd``, empty where no package owns it;
    ``offered`` are the versions of it that the host's package lists know, newest first (apt only).
    ``unit_text`` is what ``systemctl cat`` prints, drop-ins included; ``environment`` the text of its
    EnvironmentFiles. ``cmdline`` is the running daemon's argv, empty when it does not run. ``asked`` tells whether
    it runs and answered: only then ``info``, its own /info document, and ``containers`` are known. ``sockets`` are
    the unix sockets that it listens on, ``socket`` the one at which it answered; ``socket_units`` what systemd opens
    for it, ``requires`` the units without which it does not start. ``tasks`` are those of the
    containers that a Swarm runs, with the names of their services.
    """

    dockerd: str = ""
    unit: str = ""
    version: str = ""
    package: str = ""
    package_version: str = ""
    offered: tuple[str, ...] = ()
    active: bool = False
    fragment: str = ""
    drop_ins: tuple[str, ...] = ()
    unit_text: str = ""
    environment: str = ""
    cmdline: tuple[str, ...] = ()
    asked: Asked = Asked.ANSWERED
    sockets: tuple[str, ...] = ()
    socket: str = ""
    socket_units: tuple[SocketUnit, ...] = ()
    requires: frozenset[str] = frozenset()
    info: Mapping[str, Any] = field(default_factory=dict)
    containers: tuple[str, ...] = ()
    tasks: Mapping[str, str] = field(default_factory=dict)

    @property
    def live_restore(self) -> bool:
        """Containers stay up while the engine is restarted."""
        return bool(self.info.get("LiveRestoreEnabled", False))

    @property
    def swarm(self) -> bool:
        """The engine is a member of a Swarm, or is locked out of one."""
        state = (self.info.get("Swarm") or {}).get("LocalNodeState", "inactive")
        return state not in ("inactive", "")

    @property
    def storage_driver(self) -> str:
        """The storage driver in use, empty when the engine does not run."""
        return str(self.info.get("Driver", ""))

    @property
    def data_root(self) -> str:
        """Where images and containers are, as the running engine says, else as its command line does."""
        return str(self.info.get("DockerRootDir") or self.flags.get("data-root", [DATA_ROOT])[-1])

    @property
    def has_data(self) -> bool:
        """Images or containers exist that another storage driver would hide."""
        return bool(self.info.get("Images", 0) or self.info.get("Containers", 0))

    @property
    def flags(self) -> dict[str, list[str]]:
        """The daemon's flags by name: as running, else as its unit would start it."""
        return flags_of(self.cmdline, self.unit_text, self.environment)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One look at a host. Sizes in bytes, ``clock`` in epoch seconds as the host has it.

    ``free`` maps folders to the free space of their file system. ``listeners`` names the process on a TCP
    port where that could be seen. ``repository`` are the parts of Docker's package repository that answered,
    None where nobody asked. ``units`` are the load states of the units of an engine, None where systemd did not tell.
    ``docker_sources`` are addresses of Docker's packages that the host's package manager has in use by somebody
    else's configuration; ``sources_fault`` is what it said if it could not read that.
    ``half_configured`` are packages whose installation was cut off, ``docker_group`` says whether that group exists
    (None where that could not be asked), ``obstacles`` what keeps files from being replaced, by their path.
    ``daemon_json`` is that file's content, None where there is none, engine or not.
    ``installed`` are packages an earlier set-up of ours brought, ``extras`` those that were to follow it and were
    cut off.
    """

    os: OsRelease
    arch: str = "amd64"
    kernel: str = ""
    init: str = "systemd"
    hostname: str = ""
    etc_hosts: str = ""
    etc_hostname: str | None = None
    debian_version: str = ""
    addresses: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    clock: float | None = None
    ipv6: bool = True
    uid: int = 0
    user: str = "root"
    groups: frozenset[str] = frozenset()
    free: Mapping[str, int] = field(default_factory=dict)
    listening: frozenset[int] = frozenset()
    listeners: Mapping[int, str] = field(default_factory=dict)
    cloud_init: str = "absent"
    tools: frozenset[str] = frozenset()
    apparmor: bool = False
    firewall: Firewall = Firewall()
    docker_group: bool | None = None
    docker_sources: tuple[str, ...] = ()
    sources_fault: str = ""
    half_configured: tuple[str, ...] = ()
    obstacles: Mapping[str, Obstacle] = field(default_factory=dict)
    repository: tuple[DockerRepo, ...] | None = None
    neighbours: tuple[Neighbour, ...] = ()
    units: Mapping[str, str] | None = field(default_factory=dict)
    daemon_json: bytes | None = None
    daemon_json_path: str = DAEMON_JSON
    engine: EngineFacts | None = None
    manifest: Mapping[str, Any] | None = None
    installed: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    @classmethod
    def assumed(
        cls,
        os_release: str,
        *,
        arch: str = "amd64",
        hostname: str = "",
        user: str = "root",
        engine: EngineFacts | None = None,
    ) -> HostFacts:
        """Return what a fresh image of that os-release text will be like, for planning before it has booted."""
        release = parse_os_release(os_release)
        init = "openrc" if "alpine" in release.lineage else "systemd"
        return cls(os=release, arch=arch, init=init, hostname=hostname, user=user, engine=engine)

    def room(self, folder: str) -> int | None:
        """Return the free bytes where ``folder`` is or would be, or None if unknown."""
        while folder not in self.free and folder not in ("", "/"):
            folder = folder.rpartition("/")[0]
        return self.free.get(folder or "/")
