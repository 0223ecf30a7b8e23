"""The network of machines without one: QEMU's own user network, entered through ports on this host's loopback.

libvirt 9's XML cannot forward ports of it, so they are given to QEMU itself. Where QEMU was built without such a
network, passt takes its place, for which libvirt has XML.
"""

from __future__ import annotations

import random
import re
import shutil
import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

from pymachine.errors import CheckFailed
from pymachine_kvm.capabilities import choices
from pymachine_kvm.definitions import definitions
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import is_local
from pymachine_kvm.libvirt_types import Connection

LOOPBACK = "127.0.0.1"
SSH_PORT = 22
# Below Linux's range for outgoing connections (ip_local_port_range begins at 32768), above what services use.
PORTS = range(20000, 32768)

# On the PCI bus of q35 and virt: libvirt fills the slots from 1 up, q35 has its own things from 0x1d on. QEMU would
# take 1 for a card without a slot, before libvirt's devices come.
_SLOT = "0x10"
_HOSTFWD = re.compile(r"hostfwd=tcp:[^:]*:(\d+)-")


def choose_ports(connection: Connection, count: int, ports: Sequence[int] = PORTS) -> tuple[int, ...]:
    """Return ports of loopback that nobody listens on and no domain of this daemon will. Nothing holds them.

    They are drawn at random, so that two creates at once do not meet. Raises ``CheckFailed`` for a daemon of
    another host: its loopback is out of reach.
    """
    if not is_local(connection):
        raise CheckFailed(
            f"{connection.getURI()}: machines of a user's daemon are reached through its host's loopback",
            hint="use qemu+ssh://USER@HOST/system, where machines have addresses",
        )
    taken = set(taken_ports(connection))
    candidates = (port for port in random.sample(ports, len(ports)) if port not in taken and _is_free(port))
    return tuple(port for port, _ in zip(candidates, range(count), strict=False))


def taken_ports(connection: Connection) -> Iterator[int]:
    """Yield the ports that domains of this daemon forward, running or not."""
    for root in definitions(connection):
        yield from (int(found) for found in _HOSTFWD.findall(ET.tostring(root, encoding="unicode")))
        yield from (int(span.get("start", "0")) for span in root.findall("devices/interface/portForward/range"))


def needs_passt(connection: Connection, arch: str, virt_type: str) -> bool:
    """Return whether passt has to do it: libvirt offers it, it is there, and QEMU has no user network of its own.

    An older libvirt does not tell of either; its QEMU has the user network.
    """
    offered = choices(connection, arch, virt_type, "interface", "backendType")
    return "passt" in offered and "default" not in offered and shutil.which("passt") is not None


def forwards(vm: Vm, engine_port: int) -> tuple[tuple[int, int], ...]:
    """Return pairs of a port on loopback and the machine's port behind it; none for a machine with a network."""
    return () if vm.network else ((vm.ssh_port, SSH_PORT), (vm.engine_port, engine_port))


def qemu_arguments(vm: Vm, ports: tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    """Return QEMU's arguments for a network card on its user network with these forwards."""
    rules = "".join(f",hostfwd=tcp:{LOOPBACK}:{outside}-:{inside}" for outside, inside in ports)
    card = f"virtio-net-pci,netdev=pymachine,mac={vm.mac},bus=pcie.0,addr={_SLOT}"
    return "-netdev", f"user,id=pymachine{rules}", "-device", card


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
