"""Snapshots with libvirt's test driver, their XML, and what QEMU refuses."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from pymachine.errors import CheckFailed, DriverError, NotSupported, UsageFault
from pymachine.model import State
from pymachine_kvm import snapshots
from pymachine_kvm.power import kill, start
from pymachine_kvm.status import state
from unit.kvm_machine import LibvirtError, a_vm, defined, definition


def test_a_machine_goes_back_to_how_it_was() -> None:
    vm = a_vm()
    with defined(vm) as (conn, _):
        snapshots.snapshot(conn, vm, "off")
        start(conn, vm)
        snapshots.snapshot(conn, vm, "on")
        kill(conn, vm)
        assert snapshots.restore(conn, vm, "on") is State.RUNNING
        assert state(conn, vm).state is State.RUNNING
        assert snapshots.restore(conn, vm, "off") is State.STOPPED
        assert state(conn, vm).state is State.STOPPED


def test_snapshots_are_listed_with_time_state_and_the_current_one() -> None:
    vm = a_vm()
    with defined(vm) as (conn, _):
        assert snapshots.snapshots(conn, vm) == ()
        before = datetime.now(UTC).replace(microsecond=0)
        snapshots.snapshot(conn, vm, "first")
        start(conn, vm)
        snapshots.snapshot(conn, vm, "second")
        found = {one.name: one for one in snapshots.snapshots(conn, vm)}
    assert {name: (one.state, one.current) for name, one in found.items()} == {
        "first": (State.STOPPED, False),
        "second": (State.RUNNING, True),
    }
    assert before <= datetime.fromisoformat(found["first"].created) <= datetime.now(UTC)


def test_a_snapshot_that_is_dropped_is_gone() -> None:
    vm = a_vm()
    with defined(vm) as (conn, _):
        snapshots.snapshot(conn, vm, "one")
        snapshots.drop_snapshot(conn, vm, "one")
        assert snapshots.snapshots(conn, vm) == ()


@pytest.mark.parametrize("verb", [snapshots.restore, snapshots.drop_snapshot])
def test_an_unknown_name_is_refused(verb: Any) -> None:
    vm = a_vm()
    with defined(vm) as (conn, _), pytest.raises(DriverError, match="snapshot nope") as caught:
        verb(conn, vm, "nope")
    assert "snapshot ls" in str(caught.value.hint)


def test_a_name_is_given_once() -> None:
    vm = a_vm()
    with defined(vm) as (conn, _):
        snapshots.snapshot(conn, vm, "one")
        with pytest.raises(DriverError, match="snapshot one "):
            snapshots.snapshot(conn, vm, "one")
        assert len(snapshots.snapshots(conn, vm)) == 1


def test_saved_memory_does_not_outlive_the_disk_that_it_goes_with() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        snapshots.snapshot(conn, vm, "off")
        start(conn, vm)
        domain.managedSave(0)
        assert snapshots.restore(conn, vm, "off") is State.STOPPED
        assert not domain.hasManagedSaveImage()


def test_a_saved_machine_cannot_be_kept_without_its_memory() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        start(conn, vm)
        domain.managedSave(0)
        with pytest.raises(CheckFailed, match="is saved"):
            snapshots.snapshot(conn, vm, "one")
        assert snapshots.snapshots(conn, vm) == ()


@pytest.mark.parametrize("name", ["", "1", "20261125", "-x", ".x", "a b", "a/b", "a\n", "ä", "a" * 64])
def test_a_name_that_libvirt_or_qemu_would_take_for_something_else_is_refused(name: str) -> None:
    with pytest.raises(UsageFault, match="valid"):
        snapshots.snapshot(cast(Any, None), a_vm(), name)


@pytest.mark.parametrize("name", ["a", "1a", "before-upgrade", "2026-11-25-091038", "v1.2_x"])
def test_a_usual_name_is_taken(name: str) -> None:
    snapshots._check_name(name)


def test_only_disks_that_can_be_written_are_kept() -> None:
    root = ET.fromstring(snapshots._definition(definition(a_vm()), "one"))
    kept = {disk.get("name"): disk.get("snapshot") for disk in root.findall("disks/disk")}
    assert (root.findtext("name"), kept) == ("one", {"vda": "internal", "sda": "no"})


class Refusing:
    """A domain that QEMU cannot keep, or that goes back only by force."""

    def __init__(self, error: LibvirtError, *, put: tuple[str, str] = ("", ""), runs: bool = True) -> None:
        self.error = error
        self.put = put  # in the definition, in place of something else
        self.runs = runs
        self.flags: list[int] = []

    def lookupByUUIDString(self, text: str) -> Refusing:  # noqa: N802 - its own connection, to libvirt's names
        return self

    def XMLDesc(self, flags: int) -> str:  # noqa: N802
        return definition(a_vm()).replace(*self.put)

    def isActive(self) -> bool:  # noqa: N802
        return self.runs

    def hasManagedSaveImage(self) -> bool:  # noqa: N802
        return False

    def snapshotLookupByName(self, name: str) -> str:  # noqa: N802
        if self.error.get_error_code() == snapshots._RISKY:
            return name
        raise LibvirtError(snapshots._NO_SNAPSHOT)

    def snapshotCreateXML(self, text: str, flags: int) -> None:  # noqa: N802
        raise self.error

    def revertToSnapshot(self, kept: str, flags: int) -> None:  # noqa: N802
        self.flags.append(flags)
        if not flags:
            raise self.error

    def state(self) -> tuple[int, int]:
        return 1, 0


UEFI = ("<os>", "<os><loader type='pflash'>/c</loader><nvram>/v</nvram>")
CHOSEN = ("<os>", "<os firmware='efi'>")
SHARED = ("<devices>", "<devices><filesystem type='mount'><source dir='/srv'/><target dir='x'/></filesystem>")
CLOCK = ("<devices>", "<cpu mode='host-passthrough'><feature policy='require' name='invtsc'/></cpu><devices>")
BOUND = ("<devices>", "<cpu mode='host-passthrough' migratable='off'/><devices>")
QCOW2 = ("<os>", "<os firmware='efi'><loader type='pflash'>/c</loader><nvram format='qcow2'>/v</nvram>")


# In the words of libvirt 9.0 and QEMU 7.2, and in others.
@pytest.mark.parametrize(
    ("text", "put", "reason"),
    [
        ("internal snapshots of a VM with pflash based firmware are not supported", UEFI, "UEFI variables"),
        ("internal snapshots with UEFI are not supported", CHOSEN, "UEFI variables"),
        ("Migration is disabled when VirtFS export path '/srv' is mounted in the guest", SHARED, "is mounted"),
        ("State blocked by non-migratable device '0000:00:05.0/vhost-user-fs'", SHARED, "is mounted"),
        ("State blocked by non-migratable CPU device (invtsc flag)", CLOCK, "clock"),
        ("abgelehnt", BOUND, "clock"),
    ],
)
def test_what_qemu_cannot_keep_is_refused_with_the_way_out(text: str, put: tuple[str, str], reason: str) -> None:
    with pytest.raises(NotSupported, match=reason) as caught:
        snapshots.snapshot(cast(Any, Refusing(LibvirtError(84, text), put=put)), a_vm(), "one")
    assert caught.value.hint
    assert text in caught.value.message


@pytest.mark.parametrize(("put", "runs"), [(("", ""), True), (SHARED, False), (CLOCK, False), (QCOW2, True)], ids=str)
def test_any_other_refusal_comes_through(put: tuple[str, str], runs: bool) -> None:
    domain = Refusing(LibvirtError(1, "savevm: no space left for VirtFS"), put=put, runs=runs)
    with pytest.raises(DriverError, match="no space left") as caught:
        snapshots.snapshot(cast(Any, domain), a_vm(), "one")
    assert not isinstance(caught.value, NotSupported)


def test_a_machine_whose_definition_changed_since_is_taken_back_by_force() -> None:
    domain = Refusing(LibvirtError(snapshots._RISKY, "revert requires force"))
    assert snapshots.restore(cast(Any, domain), a_vm(), "one") is State.RUNNING
    assert len(domain.flags) == 2
    assert domain.flags[1]
