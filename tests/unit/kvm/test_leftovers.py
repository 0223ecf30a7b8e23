"""What a lost store left on a libvirt host is found and removed; what another one needs, and lives, never is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from pymachine.driver import Leftover, Search
from pymachine_kvm import leftovers
from pymachine_kvm.dhcp import reserve
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import connect
from pymachine_kvm.options import KvmOptions
from pymachine_kvm.ownership import Keeper, mark, mark_of
from pymachine_kvm.status import find
from unit.kvm_machine import URI, a_vm, add_volume, defined, definition, volume_names_of

OWN, OTHER = Keeper("this-store", "here"), Keeper("other-store", "there")


@contextmanager
def kept(vm: Vm, keeper: Keeper) -> Iterator[Any]:
    """Yield a connection where the machine's domain carries the mark of a store."""
    with defined(vm, marked=False) as (conn, _):
        text = definition(vm).replace(mark(vm), mark(vm, keeper))
        conn.defineXML(text)
        yield conn


def left(
    vm: Vm, known: Mapping[str, Any] | None = None, *, lives: bool | None = None, said: list[str] | None = None
) -> list[Leftover]:
    """What is found of a machine."""
    notice = (said if said is not None else []).append
    search = Search(KvmOptions(kvm_uri=URI), OWN.store, known or {}, notice, lambda _owner, _home: lives)
    return [leftover for leftover in leftovers.find_leftovers(search) if leftover.name == vm.name]


def test_a_mark_tells_the_store_that_keeps_a_machine() -> None:
    vm = a_vm()
    home = '["c", "/", "/home/ann/<&\\"\' pymachine"]'
    with kept(vm, Keeper("s", home)) as conn:
        found = mark_of(find(conn, vm))
    assert found is not None
    assert (found.id, found.name, found.keeper) == (vm.id, vm.name, Keeper("s", home))


def test_a_machine_of_ours_that_is_not_on_record_is_left_over_and_one_that_is_is_not() -> None:
    vm = a_vm()
    with kept(vm, OWN):
        (found,) = left(vm)
        assert (found.kind, found.id, found.place, found.ours) == ("virtual machine", vm.uuid, URI, True)
        assert left(vm, {vm.id: vm.handle()}) == []
        assert left(vm, {vm.id: {}}) == [], "its create has just begun"
        assert left(vm, lives=True) == [], "a copy of this store may know it"


@pytest.mark.parametrize(("lives", "ours"), [(False, [False]), (None, [False]), (True, [])])
def test_another_stores_is_not_ours_even_where_that_is_gone_and_never_listed_where_it_lives(
    lives: bool | None, ours: list[bool]
) -> None:
    vm = a_vm()
    with kept(vm, OTHER):
        assert [found.ours for found in left(vm, lives=lives)] == ours


def test_a_domain_that_was_renamed_is_left_over_by_its_old_name() -> None:
    vm = a_vm()
    with kept(vm, OWN) as conn:
        text = conn.lookupByUUIDString(vm.uuid).XMLDesc(0).replace(f"<name>{vm.name}<", f"<name>{vm.name}-old<")
        conn.lookupByUUIDString(vm.uuid).undefine()
        conn.defineXML(text)
        (found,) = left(vm)
        assert found.handle["disk"] == vm.disk
        leftovers.discard(found)
        assert find(conn, vm) is None


def test_a_domain_of_an_older_version_does_not_say_whose_it_is() -> None:
    vm = a_vm()
    with defined(vm):
        assert [found.ours for found in left(vm)] == [False]


def test_a_copy_that_somebody_made_and_a_domain_without_a_mark_are_not_ours() -> None:
    vm, copy = a_vm(), a_vm()
    with connect(URI) as conn:
        conn.defineXML(definition(vm).replace(vm.uuid, copy.uuid)).undefine()
    with defined(vm, marked=False) as (conn, _):
        assert left(vm) == []
        conn.lookupByUUIDString(vm.uuid).undefine()
        domain = conn.defineXML(definition(vm).replace(f"<uuid>{vm.uuid}", f"<uuid>{copy.uuid}"))
        assert left(vm) == []
        domain.undefine()


def test_all_parts_go_and_the_name_is_free() -> None:
    vm = a_vm()
    with kept(vm, OTHER) as conn:
        card = conn.lookupByUUIDString(vm.uuid)
        text = card.XMLDesc(0).replace(f"file='/{vm.disk}'", f"file='/default-pool/{vm.disk}'")
        nic = f"<interface type='network'><mac address='{vm.mac}'/><source network='default'/></interface></devices>"
        conn.defineXML(text.replace("</devices>", nic)).create()
        for name in (vm.disk, vm.seed):
            add_volume(conn, name)
        reserve(conn, vm)
        (found,) = left(vm, lives=False)
        assert found.detail.startswith("running, in pool default-pool, ")
        for _ in range(2):
            leftovers.discard(found)
        assert find(conn, vm) is None
        assert volume_names_of(conn).isdisjoint({vm.disk, vm.seed})
        assert vm.mac not in conn.networkLookupByName("default").XMLDesc(0)
        assert left(vm, lives=False) == []


def test_a_card_that_cannot_be_read_is_noticed_and_hides_nothing() -> None:
    vm, said = a_vm(), list[str]()
    with kept(vm, OWN) as conn:
        volume = add_volume(conn, "stray-00000000.pymachine.json", 100)  # libvirt's test driver downloads nothing
        try:
            assert len(left(vm, said=said)) == 1
        finally:
            volume.delete(0)
    assert any("'stray-00000000.pymachine.json'" in line for line in said)


def test_a_host_of_another_machine_that_cannot_be_asked_is_noticed() -> None:
    vm, said = a_vm(), list[str]()
    with kept(vm, OWN):
        known = {"1" * 32: {"uri": "test:///nowhere/at/all.xml"}}
        assert len(left(vm, known, said=said)) == 1
    assert "test:///nowhere/at/all.xml" in said[0]
