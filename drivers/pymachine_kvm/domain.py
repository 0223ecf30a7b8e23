"""The virtual machine as libvirt knows it: its domain's XML, and defining it without touching anybody else's.

The console is a pty that can be attached to, and virtlogd writes what it prints into a file in the pool's folder as
well: a volume can be read and removed through libvirt, on any host. The guest agent is only asked for addresses: a
machine behind ports has no use for it, and its socket below a home folder may pass the 107 bytes of a socket's path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pymachine.errors import CheckFailed
from pymachine.templates import render
from pymachine_kvm.base_images import base_format
from pymachine_kvm.capabilities import folder_sharing
from pymachine_kvm.console import log_name
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import found, translated
from pymachine_kvm.libvirt_types import Connection, Domain, StoragePool
from pymachine_kvm.options import DomainConfig, Mount
from pymachine_kvm.ownership import NOBODY, Keeper, is_ours, mark
from pymachine_kvm.storage import folder_of, volume_path
from pymachine_kvm.usernet import forwards, needs_passt, qemu_arguments


@dataclass(frozen=True, slots=True)
class DomainSpec:
    """Everything that a domain's XML says. ``memory`` in bytes; paths are on the daemon's host.

    ``base`` is the image under ``disk``: libvirt's AppArmor profiles only let QEMU open what the XML names.
    ``firmware`` is ``bios``, ``uefi`` or ``auto``. ``shared`` is how ``mounts`` are shown. ``ports`` are pairs of a
    port on loopback and one of the machine, for a machine without a network. ``keeper`` goes into its mark.
    """

    vm: Vm
    cpus: int
    memory: int
    disk: str
    base: str
    base_format: str
    seed: str
    console_log: str
    firmware: str = "auto"
    mounts: tuple[Mount, ...] = ()
    shared: Literal["virtiofs", "9p"] = "9p"
    ports: tuple[tuple[int, int], ...] = ()
    passt: bool = False
    keeper: Keeper = NOBODY

    @property
    def uefi(self) -> bool:
        """Whether it boots with UEFI: 64-bit ARM always does; on x86 a BIOS is faster and simpler to snapshot."""
        return self.firmware == "uefi" or self.vm.arch == "aarch64"


def spec_of(
    connection: Connection, vm: Vm, wanted: DomainConfig, pool: StoragePool, engine_port: int, keeper: Keeper = NOBODY
) -> DomainSpec:
    """Return the machine's future domain. Its volumes must exist. ``engine_port`` is the one inside."""
    ports = forwards(vm, engine_port)
    return DomainSpec(
        vm,
        wanted.cpus,
        wanted.memory,
        disk=volume_path(pool, vm.disk),
        base=volume_path(pool, vm.base),
        base_format=base_format(vm.base),
        seed=volume_path(pool, vm.seed),
        console_log=f"{folder_of(pool)}/{log_name(vm)}",
        firmware=wanted.firmware,
        mounts=wanted.mounts,
        shared=folder_sharing(connection, vm.arch, vm.virt_type, wanted.mounts),
        ports=ports,
        passt=bool(ports) and needs_passt(connection, vm.arch, vm.virt_type),
        keeper=keeper,
    )


def domain_xml(spec: DomainSpec) -> str:
    """Return the domain's XML for libvirt."""
    return render(
        "libvirt/domain.xml.j2",
        vm=spec.vm,
        mark=mark(spec.vm, spec.keeper),
        cpus=spec.cpus,
        memory=spec.memory >> 10,
        uefi=spec.uefi,
        arm=spec.vm.arch == "aarch64",
        disk=spec.disk,
        base=spec.base,
        base_format=spec.base_format,
        seed=spec.seed,
        console_log=spec.console_log,
        mounts=spec.mounts,
        shared=spec.shared if spec.mounts else "",
        ports=spec.ports,
        passt=spec.passt,
        hostfwd=qemu_arguments(spec.vm, spec.ports),
    )


def define(connection: Connection, spec: DomainSpec) -> Any:
    """Define the machine's domain, or redefine it, and return it.

    Raises ``CheckFailed`` where its name or UUID is in use.
    """
    find_own(connection, spec.vm)
    with translated(f"defining {spec.vm.name}"):
        return connection.defineXML(domain_xml(spec))


def find_own(connection: Connection, vm: Vm) -> Any:
    """Return the machine's domain, None where it is not defined. Works read-only.

    Raises ``CheckFailed`` where a domain of that name or UUID is not this machine's.
    """
    domain = _look_up(connection.lookupByUUIDString, vm.uuid)
    namesake = _look_up(connection.lookupByName, vm.name)
    for there in (domain, namesake):
        if there is not None and not _is_own(there, vm):
            raise CheckFailed(
                f"libvirt at {vm.uri} has a domain {vm.name!r} that is not this machine's",
                hint=f"choose another name; or `virsh -c {vm.uri} undefine {vm.name}` if it is not needed",
            )
    return domain


def _is_own(domain: Domain, vm: Vm) -> bool:
    with translated(f"looking at domain {vm.name!r}"):
        return bool(domain.UUIDString() == vm.uuid) and is_ours(domain, vm)


def _look_up(call: Any, key: str) -> Any:
    with translated(f"looking for domain {key!r}"):
        return found(lambda: call(key))
