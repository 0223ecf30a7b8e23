"""Another size, with libvirt's test driver; its volumes cannot grow, so the disk is a fake."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any, cast

import pytest

from pymachine.errors import CheckFailed, DriverError
from pymachine.sizes import GIB, MIB
from pymachine_kvm import resize as module
from pymachine_kvm.resize import resize
from unit.kvm_machine import LibvirtError, a_vm, add_volume, defined


def sizes_of(domain: Any) -> tuple[int, int, int]:
    """Processors, memory and the most of it (MiB) in the definition."""
    root = ET.fromstring(domain.XMLDesc(2))
    memory, most = (int(root.findtext(tag) or 0) >> 10 for tag in ("currentMemory", "memory"))
    return int(root.findtext("vcpu") or 0), memory, most


@pytest.mark.parametrize(("cpus", "memory"), [(4, 1024), (1, 256), (2, 512)])
def test_processors_and_memory_grow_and_shrink(cpus: int, memory: int) -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        resize(conn, vm, cpus=cpus, memory=memory * MIB, disk=None)
        assert sizes_of(domain) == (cpus, memory, memory)


def test_what_is_not_given_stays() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        resize(conn, vm, cpus=3, memory=None, disk=None)
        assert sizes_of(domain) == (3, 512, 512)


def test_a_machine_that_is_on_is_refused() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        domain.create()
        with pytest.raises(CheckFailed, match="switched on") as caught:
            resize(conn, vm, cpus=4, memory=None, disk=None)
        assert "pymachine stop" in str(caught.value.hint)
        assert sizes_of(domain)[0] == 2


def test_a_saved_machine_is_refused() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        domain.create()
        domain.managedSave(0)
        with pytest.raises(CheckFailed, match="is saved"):
            resize(conn, vm, cpus=4, memory=None, disk=None)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"memory": 3073 * MIB}, "more than"),  # the test driver's host has 3 GiB
        ({"memory": 8 * MIB}, "too little"),
        ({"cpus": 33}, "33 processors"),
        ({"disk": GIB - 1}, "cannot shrink"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_changed(asked: dict[str, int], reason: str) -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        add_volume(conn, vm.disk, GIB)
        with pytest.raises(CheckFailed, match=reason):
            resize(conn, vm, **{"cpus": 4, "memory": None, "disk": None, **asked})
        assert sizes_of(domain) == (2, 512, 512)


def test_a_disk_that_has_the_size_is_left_alone() -> None:
    vm = a_vm()
    with defined(vm) as (conn, _):
        add_volume(conn, vm.disk, GIB)
        resize(conn, vm, cpus=None, memory=None, disk=GIB)


def test_a_disk_that_is_gone_is_told_of() -> None:
    vm = a_vm()
    with defined(vm) as (conn, _), pytest.raises(DriverError, match="no disk"):
        resize(conn, vm, cpus=None, memory=None, disk=GIB)


class Volume:
    """A disk of 1 GiB that grows, or gives a reason why not; ``compat`` is of its format."""

    def __init__(self, refusal: str = "", compat: str = "1.1") -> None:
        self.size = GIB
        self.refusal = refusal
        self.compat = compat

    def info(self) -> tuple[int, int, int]:
        return 0, self.size, 0

    def XMLDesc(self) -> str:  # noqa: N802 - libvirt's name
        compat = f"<compat>{self.compat}</compat>" if self.compat else ""
        return f"<volume><target><format type='qcow2'/>{compat}</target></volume>"

    def resize(self, size: int) -> None:
        if self.refusal:
            raise LibvirtError(1, self.refusal)
        self.size = size


class Snapshots:
    """A domain with this many."""

    def __init__(self, count: int) -> None:
        self.count = count

    def listAllSnapshots(self) -> list[int]:  # noqa: N802
        return [1] * self.count


def grow(volume: Volume, kept: int = 0) -> None:
    module._grow(cast(Any, volume), cast(Any, Snapshots(kept)), a_vm(), 2 * GIB)


def test_a_disk_grows() -> None:
    volume = Volume()
    grow(volume)
    assert volume.size == 2 * GIB


# QEMU's own words, and whatever another version or language may say.
@pytest.mark.parametrize("text", ["Can't resize a v2 image which has snapshots", "Abgelehnt"])
@pytest.mark.parametrize("compat", ["0.10", ""])
def test_a_disk_of_the_older_format_cannot_grow_under_snapshots(text: str, compat: str) -> None:
    with pytest.raises(CheckFailed, match="snapshots") as caught:
        grow(Volume(text, compat), 1)
    assert "snapshot rm" in str(caught.value.hint)


@pytest.mark.parametrize(("compat", "kept"), [("1.1", 1), ("0.10", 0)])
@pytest.mark.parametrize("text", ["No space left on device", "no space for the snapshot"])
def test_any_other_refusal_comes_through(text: str, compat: str, kept: int) -> None:
    with pytest.raises(DriverError, match=text):
        grow(Volume(text, compat), kept)
