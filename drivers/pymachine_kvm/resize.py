"""Another size for a virtual machine that is switched off."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from pymachine.errors import CheckFailed, DriverError, PymachineError, too_late
from pymachine.sizes import GIB, MIB
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import libvirt, translated
from pymachine_kvm.libvirt_types import Connection, Domain, StorageVolume
from pymachine_kvm.options import LEAST_MEMORY
from pymachine_kvm.status import required
from pymachine_kvm.storage import find_pool, find_volume

_OLD_FORMAT = "0.10"


def resize(conn: Connection, vm: Vm, *, cpus: int | None, memory: int | None, disk: int | None) -> None:
    """Set processors, memory and disk (bytes) where given; the guest finds them at its next start.

    All of it is checked before any of it is done. Raises ``CheckFailed`` for a machine that is on or saved, for more
    memory or processors than its host can give, and for a smaller disk.
    """
    domain = required(conn, vm)
    _require_off(domain, vm)
    if cpus is not None:
        _check_cpus(conn, vm, cpus)
    if memory is not None:
        _check_memory(conn, memory)
    grown = disk is not None and _grow(_disk(conn, vm), domain, vm, disk)  # what can still be refused comes first
    try:
        _reshape(domain, vm, cpus, memory)
    except CheckFailed as error:  # a right that is missing for this alone
        raise too_late(error, "resizing", "its disk has the new size") if grown else error from error


def _reshape(domain: Domain, vm: Vm, cpus: int | None, memory: int | None) -> None:
    with translated(f"resizing {vm.name}"):
        if cpus is not None:
            _set_cpus(domain, cpus)
        if memory is not None:
            _set_memory(domain, memory)


def _require_off(domain: Domain, vm: Vm) -> None:
    with translated(f"looking at {vm.name}"):
        if domain.isActive():
            raise CheckFailed(
                f"{vm.name} is switched on", hint=f"`pymachine stop {vm.name}` first: it must be off to be resized"
            )
        if domain.hasManagedSaveImage():
            raise CheckFailed(
                f"{vm.name} is saved: its memory cannot be resized",
                hint=f"`pymachine start {vm.name}` and `pymachine stop {vm.name}` first",
            )


def _check_cpus(conn: Connection, vm: Vm, cpus: int) -> None:
    with translated("asking how many processors a machine may have"):
        most = int(conn.getMaxVcpus(vm.virt_type or None))
    if not 1 <= cpus <= most:
        raise CheckFailed(f"the host does not support {cpus} processors per machine", hint=f"give 1 to {most}")


def _check_memory(conn: Connection, memory: int) -> None:
    with translated("asking for the host's memory"):
        host = int(conn.getInfo()[1]) * MIB
    if memory > host:
        raise CheckFailed(
            f"{memory // MIB} MiB of memory is more than the host has", hint=f"give at most {host // MIB}M"
        )
    if memory < LEAST_MEMORY:
        raise CheckFailed(f"{memory // MIB} MiB of memory is too little", hint=f"give {LEAST_MEMORY // MIB}M or more")


def _disk(conn: Connection, vm: Vm) -> Any:
    pool = find_pool(conn, vm.pool)
    volume = None if pool is None else find_volume(pool, vm.disk)
    if volume is None:
        raise DriverError(
            f"pool {vm.pool!r} has no disk {vm.disk} any more", hint="`pymachine rm` removes what is left"
        )
    return volume


def _grow(volume: StorageVolume, domain: Domain, vm: Vm, disk: int) -> bool:
    """Grow the disk; whether that had to be done."""
    with translated(f"looking at the disk of {vm.name}"):
        now = int(volume.info()[1])
    if disk < now:
        raise CheckFailed(
            f"the disk of {vm.name} has {_size(now)} and cannot shrink to {_size(disk)}",
            hint=f"give more than {_size(now)}, or make another machine",
        )
    if disk == now:
        return False
    try:
        with translated(f"growing the disk of {vm.name}"):
            volume.resize(disk)
    except DriverError as error:
        raise _explained(error, volume, domain, vm) from error
    return True


def _explained(error: DriverError, volume: StorageVolume, domain: Domain, vm: Vm) -> PymachineError:
    """Disks of QEMU's older format (compat 0.10) cannot have snapshots and grow; libvirt has no number for that."""
    try:
        with translated(f"looking at {vm.name}"):
            compat = ET.fromstring(volume.XMLDesc()).findtext("target/compat") or _OLD_FORMAT
            limited = compat == _OLD_FORMAT and bool(domain.listAllSnapshots())
    except PymachineError:
        limited = False
    if not limited:
        return error
    return CheckFailed(
        f"the disk of {vm.name} cannot grow while it has snapshots",
        hint=f"`pymachine snapshot ls {vm.name}` lists them, `pymachine snapshot rm` deletes them",
    )


def _set_cpus(domain: Domain, cpus: int) -> None:
    """The most that it may have first: lowering it lowers the current number, which is at most as high."""
    config = libvirt().VIR_DOMAIN_AFFECT_CONFIG
    domain.setVcpusFlags(cpus, config | libvirt().VIR_DOMAIN_VCPU_MAXIMUM)
    domain.setVcpusFlags(cpus, config)


def _set_memory(domain: Domain, memory: int) -> None:
    """The same for memory, which libvirt counts in KiB."""
    config = libvirt().VIR_DOMAIN_AFFECT_CONFIG
    domain.setMemoryFlags(memory >> 10, config | libvirt().VIR_DOMAIN_MEM_MAXIMUM)
    domain.setMemoryFlags(memory >> 10, config)


def _size(size: int) -> str:
    """Write bytes as `--disk` takes them."""
    return f"{size // GIB}G" if size % GIB == 0 else f"{size // MIB}M"
