"""Copying a machine's disk, on libvirt's test driver: whole or not at all, and only at rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pymachine.errors import CheckFailed, DriverError
from pymachine.sizes import GIB, MIB
from pymachine_kvm.base_images import MARK
from pymachine_kvm.clone import check_source, copy_disk, like, taken_over
from pymachine_kvm.handle import Vm, origin_name
from pymachine_kvm.options import KvmOptions, read_options
from pymachine_kvm.remove import remove
from unit.kvm_machine import POOL, a_vm, add_volume, defined, volume_names_of

WANTED = read_options(KvmOptions(kvm_uri="qemu:///system", kvm_cpus=8, kvm_memory="8G", kvm_disk="80G"))


class Copying:
    """A machine with a disk, and the name of the copy that a clone wants of it."""

    def __init__(self, conn: Any, domain: Any, source: Vm, clone: Vm) -> None:
        self.conn = conn
        self.domain = domain
        self.source = source
        self.clone = clone
        self.origin = origin_name(clone.name, clone.id)
        self.said: list[str] = []

    @property
    def pool(self) -> Any:
        return self.conn.storagePoolLookupByName(POOL)

    def copy(self) -> None:
        copy_disk(self.conn, self.pool, self.source, self.origin, self.said.append)


@pytest.fixture
def copying() -> Iterator[Copying]:
    source, clone = a_vm("source"), a_vm("clone")
    with defined(source) as (conn, domain):
        add_volume(conn, source.disk, 3 * GIB)
        yield Copying(conn, domain, source, clone)
        remove(conn, source)
        remove(conn, clone)


def test_the_copy_has_the_size_of_the_disk_and_a_mark_that_it_is_whole(copying: Copying) -> None:
    copying.copy()
    assert volume_names_of(copying.conn) >= {copying.origin, copying.origin + MARK}
    assert copying.pool.storageVolLookupByName(copying.origin).info()[1] == 3 * GIB
    assert len(copying.said) == 1
    assert "disk of source" in copying.said[0]


def test_a_copy_that_is_whole_is_not_made_again_even_while_its_source_runs(copying: Copying) -> None:
    copying.copy()
    copying.domain.create()
    copying.copy()
    assert len(copying.said) == 1


def test_a_copy_that_was_cut_off_is_made_again(copying: Copying) -> None:
    add_volume(copying.conn, copying.origin, GIB)
    copying.copy()
    assert copying.pool.storageVolLookupByName(copying.origin).info()[1] == 3 * GIB


@pytest.mark.parametrize("state", ["running", "paused", "saved"])
def test_a_machine_that_is_not_off_is_not_copied(state: str, copying: Copying) -> None:
    copying.domain.create()
    {"running": lambda: None, "paused": copying.domain.suspend, "saved": lambda: copying.domain.managedSave(0)}[
        state
    ]()
    with pytest.raises(CheckFailed, match="switched off") as caught:
        check_source(copying.conn, copying.source)
    assert "pymachine stop" in str(caught.value.hint)
    with pytest.raises(CheckFailed):
        copying.copy()
    assert copying.origin not in volume_names_of(copying.conn)


def test_a_copy_that_has_no_room_is_refused_before_it_begins(copying: Copying) -> None:
    copying.pool.storageVolLookupByName(copying.source.disk).delete(0)
    xml = f"<volume><name>{copying.source.disk}</name><capacity>{60 * GIB}</capacity></volume>"
    copying.pool.createXML(xml, 0)  # of a pool of 100 GiB
    with pytest.raises(CheckFailed, match="copy of"):
        copying.copy()
    assert copying.origin not in volume_names_of(copying.conn)


def test_a_disk_that_is_gone_is_told_of(copying: Copying) -> None:
    copying.pool.storageVolLookupByName(copying.source.disk).delete(0)
    with pytest.raises(DriverError, match="is gone"):
        copying.copy()
    with pytest.raises(DriverError, match="is gone"):
        like(copying.conn, copying.source, WANTED)


def test_a_clone_is_as_large_as_its_source_is_now(copying: Copying) -> None:
    wanted = like(copying.conn, copying.source, WANTED)
    assert (wanted.cpus, wanted.memory, wanted.disk) == (2, 512 * MIB, 3 * GIB)
    assert (wanted.uri, wanted.pool) == (copying.source.uri, POOL)


def test_a_clone_takes_over_what_is_on_the_disk_and_how_it_runs() -> None:
    disk = {"virt_type": "qemu", "arch": "aarch64", "engine": "26.1.5", "os_release": "ID=debian\n"}
    source, clone = a_vm(**disk, base="image", address="10.0.0.2"), a_vm(virt_type="")
    made = taken_over(clone, source, "origin")
    assert made == clone.with_(**disk, base="origin")


def test_rm_of_a_clone_takes_the_copy_along_and_leaves_the_source(copying: Copying) -> None:
    copying.copy()
    remove(copying.conn, copying.clone)
    names = volume_names_of(copying.conn)
    assert names.isdisjoint({copying.origin, copying.origin + MARK})
    assert copying.source.disk in names
