"""What a libvirt host is like where a machine is to be made: looked up, not judged, and nothing changed."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import TypeVar

from pymachine_kvm import routes, virtualization
from pymachine_kvm.base_images import MARK, base_name
from pymachine_kvm.folders import UNASKED, closed_to, nearest
from pymachine_kvm.images.image import Image
from pymachine_kvm.ipam import bridge_of, clash, read_subnet
from pymachine_kvm.kvm_device import QEMU_CONF, account, qemu_account, text_of
from pymachine_kvm.libvirt_api import found, is_local, is_session, libvirt, translated
from pymachine_kvm.libvirt_types import Connection
from pymachine_kvm.options import DomainConfig
from pymachine_kvm.storage import DEFAULT, SYSTEM_FOLDER
from pymachine_kvm.virtualization import Promise

T = TypeVar("T")

KIB = 1024
MIB = 1024 * 1024
DOCKER_SIGNS = (Path("/sys/class/net/docker0"), Path("/run/docker.sock"))
FIREWALL_DEADLINE = 5.0


@dataclass(frozen=True, slots=True)
class Emulator:
    """What libvirt says its QEMU can do for an architecture. Not known on a read-only connection."""

    most_cpus: int
    uefi: bool


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """A network as it is defined; ``reserves`` as in ``network.Network``; ``clash`` is a route in its way."""

    active: bool
    bridge: str
    reserves: bool
    clash: IPv4Network | None = None


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """A storage pool, or the place where the default one will be made.

    ``free`` in bytes, None where nobody knows: one that does not run, on another host. ``volumes`` are names.
    ``folder`` is where it is. ``closed`` is the first folder on the way there that ``user``, whom QEMU runs as, may
    not enter; None where it may, or nobody could be asked.
    """

    free: int | None
    volumes: frozenset[str] = frozenset()
    folder: str = ""
    closed: Path | None = None
    user: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A libvirt host; None where a thing is not there, or cannot be known from here.

    ``session`` is a user's own daemon; ``memory`` and ``memory_free`` in bytes; ``emulated`` are the architectures
    that it has an emulator for; ``domain`` is the UUID of the domain that bears the machine's name; ``rules`` are the
    lines of ``iptables -S`` where a Docker engine runs beside it.
    """

    uri: str
    local: bool
    session: bool
    root: bool
    version: int
    promise: Promise
    emulated: frozenset[str]
    cpus: int
    memory: int
    memory_free: int | None
    emulator: Emulator | None
    domain: str | None
    network: NetworkFacts | None
    pool: PoolFacts | None
    docker: bool = False
    rules: tuple[str, ...] | None = None


def collect_facts(conn: Connection, wanted: DomainConfig, name: str) -> Facts:
    """Look up everything that the checks judge. Raises ``DriverError`` where libvirt fails."""
    with translated("looking at the libvirt host"):
        capabilities = conn.getCapabilities()
        promise, node = virtualization.promise_of(conn, wanted.arch), conn.getInfo()
        local = is_local(conn)
        docker = local and not is_session(conn) and any(sign.exists() for sign in DOCKER_SIGNS)
        return Facts(
            uri=conn.getURI(),
            local=local,
            session=is_session(conn),
            root=os.geteuid() == 0,
            version=conn.getLibVersion(),
            promise=promise,
            emulated=emulated_by(capabilities),
            cpus=node[2],
            memory=node[1] * MIB,
            memory_free=_free_memory(conn),
            emulator=_emulator(conn, promise.arch),
            domain=found(lambda: conn.lookupByName(name).UUIDString()),
            network=None if is_session(conn) else found(lambda: _network(conn, wanted.network)),
            pool=collect_pool_facts(conn, wanted.pool),
            docker=docker,
            rules=_firewall() if docker else None,
        )


def emulated_by(capabilities: str) -> frozenset[str]:
    """Return the architectures that libvirt has an emulator for, out of its capabilities XML."""
    return frozenset(arch.get("name", "") for arch in ET.fromstring(capabilities).findall("guest/arch"))


def read_emulator(text: str) -> Emulator:
    """Return what a domain capabilities XML says."""
    root = ET.fromstring(text)
    vcpu = root.find("vcpu")
    kinds = [value.text for value in root.findall("os/enum[@name='firmware']/value")]
    files = root.findall("os/loader/value")
    return Emulator(int(vcpu.get("max", "255")) if vcpu is not None else 255, "efi" in kinds or bool(files))


def _known(ask: Callable[[], T]) -> T | None:
    """Return an answer that not every daemon gives to everyone, None for none."""
    try:
        return ask()
    except libvirt().libvirtError:
        return None


def _emulator(conn: Connection, arch: str) -> Emulator | None:
    machine = "virt" if arch == "aarch64" else "q35"
    text = _known(lambda: conn.getDomainCapabilities(None, arch, machine, "qemu", 0))
    return None if text is None else read_emulator(text)


def _free_memory(conn: Connection) -> int | None:
    """Return what a guest could have at once: free memory and what the host would give up for it."""
    stats = _known(lambda: conn.getMemoryStats(libvirt().VIR_NODE_MEMORY_STATS_ALL_CELLS, 0))
    if not stats or "free" not in stats:
        return None
    return int(stats["free"] + stats.get("buffers", 0) + stats.get("cached", 0)) * KIB


def _network(conn: Connection, name: str) -> NetworkFacts:
    network = conn.networkLookupByName(name)
    xml, active = network.XMLDesc(0), bool(network.isActive())
    bridge, subnet = bridge_of(xml), read_subnet(xml)
    if subnet is None or not is_local(conn):
        return NetworkFacts(active, bridge, subnet is not None)
    others = routes.networks(routes.host_routes() or (), without=bridge if active else "")
    return NetworkFacts(active, bridge, reserves=True, clash=clash(subnet.network, others))


def collect_pool_facts(conn: Connection, name: str) -> PoolFacts | None:
    """Return what a pool is like, None where there is none; libvirt's errors are the caller's to translate."""
    pool = found(lambda: conn.storagePoolLookupByName(name))
    if pool is None:
        ours = name == DEFAULT and is_local(conn) and not is_session(conn)
        return _reached(conn, PoolFacts(_free_below(SYSTEM_FOLDER), folder=SYSTEM_FOLDER)) if ours else None
    folder = ET.fromstring(pool.XMLDesc(0)).findtext("target/path") or ""
    if not pool.isActive():
        return _reached(conn, PoolFacts(_free_below(folder) if is_local(conn) else None, folder=folder))
    return _reached(conn, PoolFacts(int(pool.info()[3]), frozenset(pool.listVolumes()), folder))


def _reached(conn: Connection, pool: PoolFacts) -> PoolFacts:
    """Add whether QEMU gets there; of another host only that one knows."""
    if not is_local(conn):
        return pool
    user = account(os.geteuid()) if is_session(conn) else qemu_account(text_of(QEMU_CONF))
    closed = closed_to(user, pool.folder)
    return pool if user is None or closed is UNASKED else replace(pool, closed=closed, user=user.name)


def _free_below(folder: str) -> int | None:
    """Return what the file system has free that a folder is on, or will be on; None where it does not say."""
    place = nearest(folder) if folder else None
    try:
        found = os.statvfs(place) if place else None
    except OSError:
        return None
    return found.f_bavail * found.f_frsize if found else None


def _firewall() -> tuple[str, ...] | None:
    """Return the filter rules of this host, None where they are not for us to see (that takes root)."""
    try:
        listed = subprocess.run(
            ("iptables", "-w", "2", "-S"), capture_output=True, text=True, timeout=FIREWALL_DEADLINE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return tuple(listed.stdout.splitlines())


def has_base(pool: PoolFacts, image: Image) -> bool:
    """Return whether a pool holds the image already, whole."""
    name = base_name(image)
    return {name, name + MARK} <= pool.volumes
