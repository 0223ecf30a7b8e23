"""What a libvirt host is like where a machine is to be made: looked up, not judged, and nothing changed."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, TypeVar

from pymachine.images.image import Image
from pymachine_kvm import hardware
from pymachine_kvm.addresses import bridge_of, clash, kernel_routes, read_subnet
from pymachine_kvm.bases import MARK, base_name
from pymachine_kvm.connection import found, is_local, is_session, libvirt, translated
from pymachine_kvm.hardware import Promise
from pymachine_kvm.options import Wanted

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
    """A storage pool; ``free`` in bytes, None while it does not run. ``volumes`` are names."""

    free: int | None
    volumes: frozenset[str] = frozenset()


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


def look_around(conn: Any, wanted: Wanted, name: str) -> Facts:
    """Look up everything that the checks judge. Raises ``DriverError`` where libvirt fails."""
    with translated("looking at the libvirt host"):
        capabilities = conn.getCapabilities()
        promise, node = hardware.promise_of(conn, wanted.arch), conn.getInfo()
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
            pool=found(lambda: _pool(conn, wanted.pool)),
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


def _emulator(conn: Any, arch: str) -> Emulator | None:
    machine = "virt" if arch == "aarch64" else "q35"
    text = _known(lambda: conn.getDomainCapabilities(None, arch, machine, "qemu", 0))
    return None if text is None else read_emulator(text)


def _free_memory(conn: Any) -> int | None:
    """Return what a guest could have at once: free memory and what the host would give up for it."""
    stats = _known(lambda: conn.getMemoryStats(libvirt().VIR_NODE_MEMORY_STATS_ALL_CELLS, 0))
    if not stats or "free" not in stats:
        return None
    return int(stats["free"] + stats.get("buffers", 0) + stats.get("cached", 0)) * KIB


def _network(conn: Any, name: str) -> NetworkFacts:
    network = conn.networkLookupByName(name)
    xml, active = network.XMLDesc(0), bool(network.isActive())
    bridge, subnet = bridge_of(xml), read_subnet(xml)
    if subnet is None or not is_local(conn):
        return NetworkFacts(active, bridge, subnet is not None)
    routes = kernel_routes(without=bridge if active else "")
    return NetworkFacts(active, bridge, reserves=True, clash=clash(subnet.network, routes))


def _pool(conn: Any, name: str) -> PoolFacts:
    pool = conn.storagePoolLookupByName(name)
    if not pool.isActive():
        return PoolFacts(None)
    return PoolFacts(int(pool.info()[3]), frozenset(pool.listVolumes()))


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
