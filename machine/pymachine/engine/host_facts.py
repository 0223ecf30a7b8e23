"""Facts about a host and its engine, found by ``engine.facts``: values only."""

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
    """The result of a request on the host: it distinguishes an absent service from one that did not answer."""

    ANSWERED = "answered"
    ABSENT = "absent"
    UNANSWERED = "unanswered"


class NeighbourKind(StrEnum):
    """Other engines that run containers, by the survey's word for them."""

    SNAP = "snap"
    ROOTLESS = "rootless"
    LOOSE = "loose"  # a dockerd of root's that the engine's unit did not start
    PODMAN = "podman"  # behind the name of Docker's client
    SOCKET = "socket"  # where Docker's clients look, somebody else listens
    SHIM = "shim"  # containers of a containerd: "namespace address count"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another engine; ``what`` identifies it."""

    kind: NeighbourKind
    what: str = ""


@dataclass(frozen=True, slots=True)
class SocketUnit:
    """One address that systemd opens for the engine: a path, an address with a port, or another kind of socket."""

    unit: str
    address: str

    @property
    def is_tcp(self) -> bool:
        """Whether it is a TCP port, on which the engine requires certificates as soon as it does on any."""
        return bool(re.fullmatch(r"(\[[^\]]*\]|[0-9.]+|\*):[0-9]+", self.address))

    @property
    def is_file(self) -> bool:
        """Whether it is a unix socket."""
        return self.address.startswith(("/", "@"))


@dataclass(frozen=True, slots=True)
class Firewall:
    """The state of the host's firewalls with respect to the engine's port.

    ``firewalld`` and ``ufw`` have answered if they are on, and are absent if they are off. ``zone`` is that of
    ``interface``, through which the host was reached, and is empty if it could not be asked; ``is_open`` says that
    the port is open there, ``ufw_allows`` that ufw allows somebody in.
    """

    firewalld: Asked = Asked.ABSENT
    interface: str = ""
    zone: str = ""
    is_open: bool = False
    ufw: Asked = Asked.ABSENT
    ufw_allows: bool = False


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The engine that is already on the host.

    ``package`` and ``package_version`` are the owner of ``dockerd``, empty if no package owns it; ``offered`` are the
    versions of it in the host's package lists, newest first (apt only). ``unit_text`` is the output of ``systemctl
    cat``, drop-ins included; ``environment`` is the text of its EnvironmentFiles. ``cmdline`` is the running daemon's
    argv, empty if it does not run. ``asked`` says whether it runs and answered: only then ``info``, its /info
    document, and ``containers`` are known. ``sockets`` are the unix sockets on which it listens, ``socket`` the one
    at which it answered; ``socket_units`` are those that systemd opens for it, ``requires`` the units without which
    it does not start. ``tasks`` are the containers of a Swarm, with the names of their services. ``trusted`` is the
    SHA-256 fingerprint (hex) of the authority that its command line names, empty if that is not known.
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
    trusted: str = ""

    @property
    def live_restore(self) -> bool:
        """Whether containers keep running while the engine restarts."""
        return bool(self.info.get("LiveRestoreEnabled", False))

    @property
    def swarm(self) -> bool:
        """Whether the engine is a Swarm member, or locked out of one."""
        state = (self.info.get("Swarm") or {}).get("LocalNodeState", "inactive")
        return state not in ("inactive", "")

    @property
    def storage_driver(self) -> str:
        """The storage driver in use, empty if the engine does not run."""
        return str(self.info.get("Driver", ""))

    @property
    def data_root(self) -> str:
        """The folder of images and containers, from the running engine, else from its command line."""
        return str(self.info.get("DockerRootDir") or self.flags.get("data-root", [DATA_ROOT])[-1])

    @property
    def has_data(self) -> bool:
        """Whether images or containers exist that another storage driver would hide."""
        return bool(self.info.get("Images", 0) or self.info.get("Containers", 0))

    @property
    def flags(self) -> dict[str, list[str]]:
        """The daemon's flags by name: of the running process, else of its unit."""
        return flags_of(self.cmdline, self.unit_text, self.environment)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The result of one survey of a host. Sizes are in bytes, ``clock`` is the host's time in epoch seconds.

    ``free`` maps folders to the free space of their file system. ``listeners`` names the process on a TCP port if it
    is visible. ``repository`` are the parts of Docker's package repository that answered, None if they were not
    probed. ``units`` are the load states of the units of an engine, None if systemd did not answer.
    ``docker_sources`` are addresses of Docker's packages that the host's package manager uses through another
    configuration than ours; ``sources_fault`` is its error if it could not read its sources. ``half_configured`` are
    packages whose installation was interrupted, ``docker_group`` says whether that group exists (None if unknown),
    ``obstacles`` are reasons why files cannot be replaced, by path. ``daemon_json`` is that file's content, None if
    there is none, with or without an engine. ``installed`` are packages of an earlier set-up, ``extras`` those that
    were to follow and were interrupted.
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
        """Return the assumed facts of a fresh image with that os-release text, for planning before its boot."""
        release = parse_os_release(os_release)
        init = "openrc" if "alpine" in release.lineage else "systemd"
        return cls(os=release, arch=arch, init=init, hostname=hostname, user=user, engine=engine)

    def room(self, folder: str) -> int | None:
        """Return the free bytes at ``folder``, whether it exists or not, or None if unknown."""
        while folder not in self.free and folder not in ("", "/"):
            folder = folder.rpartition("/")[0]
        return self.free.get(folder or "/")
