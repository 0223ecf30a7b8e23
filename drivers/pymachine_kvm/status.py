"""What libvirt says of a virtual machine, in our words."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from pymachine.driver import Status
from pymachine.errors import DriverError
from pymachine.model import State
from pymachine_kvm.dhcp import find_address
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import found, libvirt, translated
from pymachine_kvm.libvirt_types import Connection, Domain
from pymachine_kvm.usernet import LOOPBACK

DISK_FULL = "the disk of its host is full"


def state(conn: Connection, vm: Vm) -> Status:
    """Return how the machine is; ``State.MISSING`` where libvirt does not know it. Works read-only."""
    domain = find(conn, vm)
    if domain is None:
        return Status(State.MISSING)
    with translated(f"looking at {vm.name}"):
        now, detail = state_of(domain)
    return Status(now, _addresses(conn, vm) if now is State.RUNNING else (), detail)


def find(conn: Connection, vm: Vm) -> Any:
    """Return the machine's domain, None where there is none."""
    with translated(f"looking for {vm.name}"):
        if not vm.theirs:
            return found(lambda: conn.lookupByUUIDString(vm.uuid))
        domain = found(lambda: conn.lookupByName(vm.name))
        return domain if domain is not None and vm.disk in _disks(domain) else None


def _disks(domain: Domain) -> set[str | None]:
    """Return the files of a domain's disks."""
    return {source.get("file") for source in ET.fromstring(domain.XMLDesc(0)).iterfind("devices/disk/source")}


def required(conn: Connection, vm: Vm) -> Any:
    """Return the machine's domain. Raises ``DriverError`` where there is none."""
    domain = find(conn, vm)
    if domain is None:
        raise DriverError(
            f"libvirt at {vm.uri} has no domain {vm.name} any more",
            hint="it was removed outside pymachine; `pymachine rm` removes what is left",
        )
    return domain


def state_of(domain: Domain) -> tuple[State, str]:
    """Return a domain's state and what is to be said of it; libvirt's errors are the caller's to translate."""
    module = libvirt()
    number, reason = domain.state()
    if number == module.VIR_DOMAIN_PAUSED:
        return _paused(domain, reason)
    if number == module.VIR_DOMAIN_SHUTOFF:
        return (State.SAVED, "") if domain.hasManagedSaveImage() else _off(reason)
    return {
        module.VIR_DOMAIN_RUNNING: (State.RUNNING, ""),
        module.VIR_DOMAIN_BLOCKED: (State.RUNNING, ""),  # Xen's word for a guest that waits
        module.VIR_DOMAIN_SHUTDOWN: (State.STOPPING, ""),
        module.VIR_DOMAIN_CRASHED: (State.ERROR, "the guest crashed"),
        module.VIR_DOMAIN_PMSUSPENDED: (State.PAUSED, "it is suspended"),
    }.get(number, (State.UNKNOWN, ""))


def _off(reason: int) -> tuple[State, str]:
    """Tell one that was stopped from one that ended by itself; both are off."""
    module = libvirt()
    return State.STOPPED, {
        module.VIR_DOMAIN_SHUTOFF_CRASHED: "it crashed",
        module.VIR_DOMAIN_SHUTOFF_FAILED: "QEMU failed: its log is in /var/log/libvirt/qemu",
    }.get(reason, "")


def _paused(domain: Domain, reason: int) -> tuple[State, str]:
    module = libvirt()
    if reason == module.VIR_DOMAIN_PAUSED_IOERROR:
        return State.ERROR, _disk_fault(domain)
    if reason == module.VIR_DOMAIN_PAUSED_STARTING_UP:
        return State.STARTING, ""
    if reason in (module.VIR_DOMAIN_PAUSED_CRASHED, module.VIR_DOMAIN_PAUSED_WATCHDOG):
        return State.ERROR, "the guest crashed and was paused"
    if reason == module.VIR_DOMAIN_PAUSED_SHUTTING_DOWN:
        return State.STOPPING, ""
    return State.PAUSED, ""


def _disk_fault(domain: Domain) -> str:
    """Say why QEMU paused a guest that wrote to its disk."""
    module = libvirt()
    try:
        faults = domain.diskErrors()
    except module.libvirtError:
        faults = {}
    if module.VIR_DOMAIN_DISK_ERROR_NO_SPACE in faults.values():
        return DISK_FULL
    return "its host cannot read or write its disk"


def _addresses(conn: Connection, vm: Vm) -> tuple[str, ...]:
    if not vm.network:
        return (vm.address if vm.theirs else LOOPBACK,)
    address = vm.address or find_address(conn, vm)
    return (address,) if address else ()
