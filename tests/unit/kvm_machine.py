"""A virtual machine of libvirt's test driver, and a domain that does whatever a test wants of a guest."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pymachine.clock import Clock
from pymachine_kvm.handle import Vm, mac_of, volume_names
from pymachine_kvm.libvirt_api import NO_DOMAIN, OPERATION_INVALID, connect, libvirt
from pymachine_kvm.ownership import mark

URI = "test:///default"  # one world for all connections of a process: each test makes a machine of its own
POOL = "default-pool"
GIB = 1 << 30


def a_vm(name: str = "node1", **changes: Any) -> Vm:
    """A machine that nobody else has."""
    key = uuid.uuid4().hex
    disk, seed = volume_names(f"{name}-{key[8:12]}", key)
    vm = Vm(URI, key, f"{name}-{key[8:12]}", POOL, disk, seed, mac_of(key), network="default", virt_type="kvm")
    return vm.with_(**changes)


def definition(vm: Vm, *, marked: bool = True) -> str:
    """The XML of its domain."""
    metadata = f"<metadata>{mark(vm)}</metadata>" if marked else ""
    return f"""<domain type='test'><name>{vm.name}</name><uuid>{vm.uuid}</uuid>{metadata}
      <memory unit='MiB'>512</memory><vcpu>2</vcpu><os><type>hvm</type></os>
      <devices>
        <disk type='file' device='disk'><source file='/{vm.disk}'/><target dev='vda' bus='virtio'/></disk>
        <disk type='file' device='cdrom'><source file='/{vm.seed}'/><target dev='sda' bus='sata'/><readonly/></disk>
      </devices></domain>"""


@contextmanager
def defined(vm: Vm, *, marked: bool = True) -> Iterator[tuple[Any, Any]]:
    """Yield a connection and the machine's domain, switched off; leave nothing of it behind."""
    with connect(vm.uri) as conn:
        domain = conn.defineXML(definition(vm, marked=marked))
        try:
            yield conn, domain
        finally:
            _forget(conn, vm)


def add_volume(conn: Any, name: str, size: int = GIB) -> Any:
    """Make a volume in the pool."""
    xml = f"<volume><name>{name}</name><capacity>{size}</capacity></volume>"
    return conn.storagePoolLookupByName(POOL).createXML(xml, 0)


def volume_names_of(conn: Any) -> set[str]:
    """The names of all volumes in the pool."""
    return {volume.name() for volume in conn.storagePoolLookupByName(POOL).listAllVolumes()}


def _forget(conn: Any, vm: Vm) -> None:
    module = libvirt()
    flags = module.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | module.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    with suppress(module.libvirtError):
        conn.lookupByUUIDString(vm.uuid).destroy()
    with suppress(module.libvirtError):
        conn.lookupByUUIDString(vm.uuid).undefineFlags(flags)


class FakeTime:
    """Seconds that pass when somebody sleeps; ``at`` calls a function once they have come to a number."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._plans: list[tuple[float, Any]] = []

    @property
    def clock(self) -> Clock:
        """What the driver looks at."""
        return Clock(lambda: self.seconds, self._sleep)

    def at(self, seconds: float, happening: Any) -> None:
        """Plan something."""
        self._plans.append((seconds, happening))

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds
        due = [plan for plan in self._plans if plan[0] <= self.seconds]
        self._plans = [plan for plan in self._plans if plan not in due]
        for _, happening in due:
            happening()


class LibvirtError(libvirt().libvirtError):  # type: ignore[misc]
    """An error with a number of our choice."""

    def __init__(self, code: int, text: str = "no") -> None:
        super().__init__(text)
        self.err = (code, 0, text, 0, "", "", "", 0, 0)


@dataclass
class FakeDomain:
    """A guest with a will of its own. ``number`` and ``reason`` are libvirt's words for its state."""

    number: int
    reason: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    saved: bool = False
    heeds: bool = False
    stuck: int = 0
    calls: list[str] = field(default_factory=list)

    def lookupByUUIDString(self, text: str) -> FakeDomain:  # noqa: N802 - its own connection, to libvirt's names
        """Be found."""
        return self

    def state(self) -> tuple[int, int]:
        """Tell."""
        return self.number, self.reason

    def isActive(self) -> bool:  # noqa: N802
        """Whether it is on."""
        return bool(self.number != libvirt().VIR_DOMAIN_SHUTOFF)

    def hasManagedSaveImage(self) -> bool:  # noqa: N802
        """Whether its memory is saved."""
        return self.saved

    def diskErrors(self) -> dict[str, int]:  # noqa: N802
        """What is wrong with which disk."""
        return self.faults

    def create(self) -> None:
        """Switch on, unless it is."""
        self.calls.append("create")
        if self.isActive():
            raise LibvirtError(OPERATION_INVALID, "already running")
        self.number = libvirt().VIR_DOMAIN_RUNNING

    def resume(self) -> None:
        """Go on; a fault of the disk is still there."""
        self.calls.append("resume")
        self.number = libvirt().VIR_DOMAIN_PAUSED if self.faults else libvirt().VIR_DOMAIN_RUNNING

    def pMWakeup(self) -> None:  # noqa: N802
        """Wake up."""
        self.calls.append("wake")
        self.number = libvirt().VIR_DOMAIN_RUNNING

    def shutdown(self) -> None:
        """Have the button pressed."""
        self.calls.append("shutdown")
        if self.heeds:
            self.end()

    def destroy(self) -> None:
        """Lose power, after QEMU has not ended ``stuck`` times."""
        self.calls.append("destroy")
        if self.stuck:
            self.stuck -= 1
            raise LibvirtError(38, "Failed to terminate process with SIGKILL: Device or resource busy")
        self.end()

    def end(self) -> None:
        """Be off."""
        self.number = libvirt().VIR_DOMAIN_SHUTOFF


class NoDomains:
    """A libvirt without any."""

    def lookupByUUIDString(self, text: str) -> Any:  # noqa: N802
        """Find nothing."""
        raise LibvirtError(NO_DOMAIN, "Domain not found")
