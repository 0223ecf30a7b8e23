"""What is known of a host and of the engine on it: values only, found by ``engine.facts``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymachine.engine.exec_start import flags_of
from pymachine.engine.osfamily import DockerRepo, OsRelease, parse_os_release

DAEMON_JSON = "/etc/docker/daemon.json"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The engine that is on the host already.

    ``package`` and ``package_version`` are the owner of ``dockerd``, empty where no package owns it;
    ``offered`` are the versions of it that the host's package lists know, newest first (apt only).
    ``unit_text`` is what ``systemctl cat`` prints, drop-ins included; ``environment`` the text of its
    EnvironmentFiles. ``cmdline`` is the running daemon's argv, empty when it does not run. ``info`` is the
    engine's own /info document, empty when it did not answer. ``containers`` are the names of those that run,
    ``tasks`` those among them that a Swarm runs, with the names of their services.
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
    socket: str = ""
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
        """Where images and containers are."""
        return str(self.info.get("DockerRootDir", "/var/lib/docker"))

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
    None where nobody asked. ``daemon_json`` is that file's content, None where there is none, engine or not.
    ``installed`` are packages an earlier set-up of ours brought, ``extras`` those that were to follow it and were
    cut off.
    """

    os: OsRelease
    arch: str = "amd64"
    kernel: str = ""
    init: str = "systemd"
    hostname: str = ""
    etc_hosts: str = ""
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
    firewalld: bool = False
    ufw: bool = False
    docker_sources: tuple[str, ...] = ()
    repository: tuple[DockerRepo, ...] | None = None
    odd_engines: frozenset[str] = frozenset()
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
