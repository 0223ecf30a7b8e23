"""Snapshots of a virtual machine: kept inside its disk, with its memory where it runs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any

from pymachine.driver import Snapshot
from pymachine.errors import CheckFailed, DriverError, NotSupported, PymachineError, UsageFault
from pymachine.model import State
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import code_of, libvirt, translated
from pymachine_kvm.libvirt_types import Connection, Domain
from pymachine_kvm.status import required, state_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_NO_SNAPSHOT = 72  # VIR_ERR_NO_DOMAIN_SNAPSHOT
_RISKY = 77  # VIR_ERR_SNAPSHOT_REVERT_RISKY: only with force
_STATES = {
    "running": State.RUNNING,
    "blocked": State.RUNNING,
    "paused": State.PAUSED,
    "pmsuspended": State.PAUSED,
    "shutoff": State.STOPPED,
    "crashed": State.ERROR,
}


def snapshot(conn: Connection, vm: Vm, name: str) -> None:
    """Keep the machine's disk, and its memory where it runs; it stands still meanwhile.

    Raises ``UsageFault`` for a name that cannot be one, ``DriverError`` for one that is taken, ``CheckFailed`` for a
    saved machine, whose memory would be missing, and ``NotSupported`` with the way out where QEMU cannot keep it.
    """
    _check_name(name)
    domain = required(conn, vm)
    with translated(f"looking at {vm.name}"):
        _refuse(domain, vm, name)
        text = _definition(domain.XMLDesc(0), name)
    try:
        with translated(f"creating a snapshot of {vm.name}"):
            domain.snapshotCreateXML(text, 0)
    except PymachineError as error:
        raise _explained(error, vm, domain) from error


def restore(conn: Connection, vm: Vm, name: str) -> State:
    """Go back to a snapshot and return the state then: running where it was kept running, else off.

    What the disk holds now is lost, and so is saved memory: libvirt keeps it, and would start it on the disk of then.
    Raises ``DriverError`` for an unknown name.
    """
    domain = required(conn, vm)
    with translated(f"restoring snapshot {name} of {vm.name}"):
        kept = _required(domain, vm, name)
        if domain.hasManagedSaveImage():
            domain.managedSaveRemove()
        try:
            domain.revertToSnapshot(kept, 0)
        except libvirt().libvirtError as error:
            if code_of(error) != _RISKY:
                raise
            # The definition has changed since, so that this QEMU cannot take the memory: force starts another.
            domain.revertToSnapshot(kept, libvirt().VIR_DOMAIN_SNAPSHOT_REVERT_FORCE)
        return state_of(domain)[0]


def snapshots(conn: Connection, vm: Vm) -> tuple[Snapshot, ...]:
    """Return the machine's snapshots, oldest first. Works read-only."""
    domain = required(conn, vm)
    with translated(f"listing the snapshots of {vm.name}"):
        found = [_described(kept) for kept in domain.listAllSnapshots()]
    return tuple(sorted(found, key=lambda one: one.created))


def drop_snapshot(conn: Connection, vm: Vm, name: str) -> None:
    """Forget a snapshot and give its place in the disk back. Raises ``DriverError`` for an unknown name."""
    domain = required(conn, vm)
    with translated(f"deleting snapshot {name} of {vm.name}"):
        _required(domain, vm, name).delete()


def _check_name(name: str) -> None:
    """Refuse what libvirt or QEMU would, or take for something else: QEMU's own ids of snapshots are numbers."""
    if not _NAME.fullmatch(name) or name.isdigit():
        raise UsageFault(
            f"{name!r} is not a valid snapshot name",
            hint="use letters, digits, . _ and -, and not digits alone; begin with a letter or digit",
        )


def _refuse(domain: Domain, vm: Vm, name: str) -> None:
    if _find(domain, name) is not None:
        raise DriverError(
            f"{vm.name} has a snapshot {name} already",
            hint=f"choose another name, or `pymachine snapshot rm {vm.name} {name}`",
        )
    if domain.hasManagedSaveImage():
        raise CheckFailed(
            f"{vm.name} is saved: a snapshot would have its disk without its memory",
            hint=f"`pymachine start {vm.name}` first",
        )


def _definition(domain_xml: str, name: str) -> str:
    """Return the XML of a snapshot inside the disks that can be written; the seed's CD is left out."""
    root = ET.Element("domainsnapshot")
    ET.SubElement(root, "name").text = name
    disks = ET.SubElement(root, "disks")
    for disk in ET.fromstring(domain_xml).findall("devices/disk"):
        target = disk.find("target")
        assert target is not None, "libvirt gives every disk a target"
        kept = disk.get("device", "disk") == "disk" and disk.find("readonly") is None
        ET.SubElement(disks, "disk", {"name": target.get("dev", ""), "snapshot": "internal" if kept else "no"})
    return ET.tostring(root, encoding="unicode")


def _find(domain: Domain, name: str) -> Any:
    module = libvirt()
    try:
        return domain.snapshotLookupByName(name)
    except module.libvirtError as error:
        if code_of(error) != _NO_SNAPSHOT:
            raise
        return None


def _required(domain: Domain, vm: Vm, name: str) -> Any:
    kept = _find(domain, name)
    if kept is None:
        raise DriverError(
            f"{vm.name} has no snapshot {name}", hint=f"`pymachine snapshot ls {vm.name}` lists those that it has"
        )
    return kept


def _described(kept: Any) -> Snapshot:
    root = ET.fromstring(kept.getXMLDesc(0))
    created = datetime.fromtimestamp(int(root.findtext("creationTime") or 0), UTC)
    return Snapshot(
        name=root.findtext("name") or "",
        created=created.isoformat(timespec="seconds"),
        state=_STATES.get(root.findtext("state") or "", State.UNKNOWN),
        current=bool(kept.isCurrent()),
    )


_WITHOUT_MEMORY = "stop it first: a snapshot of a stopped machine has no memory"


def _explained(error: PymachineError, vm: Vm, domain: Domain) -> PymachineError:
    """Say what in the definition of a machine a snapshot may have failed for; QEMU says it in a sentence alone."""
    try:
        with translated(f"looking at {vm.name}"):
            found = _limit(ET.fromstring(domain.XMLDesc(0)), runs=bool(domain.isActive()))
    except PymachineError:
        found = None
    if found is None:
        return error
    reason, way_out = found
    return NotSupported(f"no snapshot of {vm.name} is possible: {reason} ({error.message})", hint=way_out)


def _limit(root: ET.Element, *, runs: bool) -> tuple[str, str] | None:
    """Return what stands against a snapshot, and the way out."""
    if _has_raw_variables(root):
        return (
            "its UEFI variables are in a file without snapshot support",
            "machines with --kvm-firmware bios can have snapshots",
        )
    if not runs:
        return None
    if root.find("devices/filesystem") is not None:
        return "a folder of its host is mounted", _WITHOUT_MEMORY
    clock = root.find("cpu/feature[@name='invtsc'][@policy='require']")
    if clock is not None or root.find("cpu[@migratable='off']") is not None:
        return "its processor's clock (invariant TSC) cannot be saved", _WITHOUT_MEMORY
    return None


def _has_raw_variables(root: ET.Element) -> bool:
    """Whether it boots by UEFI, and its variables are not in QEMU's own format."""
    uefi = root.find("os[@firmware='efi']") is not None or root.find("os/loader[@type='pflash']") is not None
    nvram = root.find("os/nvram")
    return uefi and (nvram is None or nvram.get("format", "raw") == "raw")
