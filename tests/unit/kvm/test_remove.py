"""Removing a machine: all of it, what is left of it, and nothing of anybody else's."""

from __future__ import annotations

import uuid
from typing import Any, cast

import pytest

from pymachine.errors import DriverError
from pymachine.model import State
from pymachine_kvm import remove
from pymachine_kvm.console import log_name
from pymachine_kvm.dhcp import reserve
from pymachine_kvm.handle import Vm, origin_name
from pymachine_kvm.libvirt_api import connect, libvirt
from pymachine_kvm.status import find, state
from unit.kvm_machine import LibvirtError, a_vm, add_volume, defined, volume_names_of

EVERY_FLAG = 0x1 | 0x2 | 0x4 | 0x10 | 0x20  # managed save, snapshots, nvram, checkpoints, tpm (libvirt-domain.h)


def reservations(conn: Any, vm: Vm) -> int:
    xml = conn.networkLookupByName("default").XMLDesc(0)
    return int(xml.count(vm.mac))


def parts_of(vm: Vm) -> list[str]:
    origin = origin_name(vm.name, vm.id)
    return [vm.disk, vm.seed, log_name(vm), f"{log_name(vm)}.0", origin, f"{origin}.ok"]


def test_everything_that_create_made_goes() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        for name in parts_of(vm):
            add_volume(conn, name)
        reserve(conn, vm)
        domain.create()
        domain.snapshotCreateXML("<domainsnapshot><name>one</name></domainsnapshot>", 0)
        assert reservations(conn, vm) == 1
        remove.remove(conn, vm)
        assert state(conn, vm).state is State.MISSING
        assert volume_names_of(conn).isdisjoint(parts_of(vm))
        assert reservations(conn, vm) == 0


def test_what_is_gone_already_is_no_error() -> None:
    vm = a_vm()
    with connect(vm.uri) as conn:
        remove.remove(conn, vm)
        remove.remove(conn, vm)


@pytest.mark.parametrize("left", ["disk", "seed"])
def test_a_machine_that_was_half_made_goes(left: str) -> None:
    vm = a_vm()
    with connect(vm.uri) as conn:
        add_volume(conn, getattr(vm, left))
        remove.remove(conn, vm)
        assert getattr(vm, left) not in volume_names_of(conn)


@pytest.mark.parametrize("gone", [{"pool": "nowhere"}, {"network": "nowhere"}, {"network": ""}])
def test_a_pool_or_network_that_is_gone_is_no_error(gone: dict[str, str]) -> None:
    vm = a_vm()
    with defined(vm) as (conn, _):
        remove.remove(conn, vm.with_(**gone))
        assert find(conn, vm) is None


def test_a_saved_machine_goes() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        domain.create()
        domain.managedSave(0)
        remove.remove(conn, vm)
        assert find(conn, vm) is None


def test_a_running_machine_whose_definition_was_taken_away_goes() -> None:
    vm = a_vm()
    with defined(vm) as (conn, domain):
        domain.create()
        domain.undefine()
        remove.remove(conn, vm)
        assert find(conn, vm) is None


def test_a_domain_without_our_mark_stays_and_so_does_all_beside_it() -> None:
    vm = a_vm()
    with defined(vm, marked=False) as (conn, domain):
        domain.create()
        add_volume(conn, vm.disk)
        with pytest.raises(DriverError, match=" metadata"):
            remove.remove(conn, vm)
        assert state(conn, vm).state is State.RUNNING
        assert vm.disk in volume_names_of(conn)
        conn.storagePoolLookupByName(vm.pool).storageVolLookupByName(vm.disk).delete(0)


def test_a_domain_with_the_mark_of_another_machine_stays() -> None:
    vm, other = a_vm(), a_vm()
    with defined(vm) as (conn, domain):
        module = libvirt()
        xml = f"<machine id='{other.id}'/>"
        domain.setMetadata(module.VIR_DOMAIN_METADATA_ELEMENT, xml, "pymachine", "urn:pymachine:kvm:1", 0)
        with pytest.raises(DriverError, match=" metadata"):
            remove.remove(conn, vm)


def test_a_volume_whose_name_is_not_made_of_the_id_stays() -> None:
    foreign = f"precious-{uuid.uuid4().hex}.qcow2"
    vm = a_vm().with_(disk=foreign, base=foreign)
    with connect(vm.uri) as conn:
        add_volume(conn, foreign)
        remove.remove(conn, vm)
        assert foreign in volume_names_of(conn)


def test_the_base_and_the_machines_beside_it_stay() -> None:
    vm, other = a_vm(), a_vm()
    base = f"base-{uuid.uuid4().hex}.qcow2"
    with connect(vm.uri) as conn:
        for name in (base, vm.disk, other.disk, log_name(other)):
            add_volume(conn, name)
        remove.remove(conn, vm.with_(base=base))
        assert volume_names_of(conn) >= {base, other.disk, log_name(other)}


class OldDomain:
    """A domain of a libvirt that knows only some of the undefine flags."""

    def __init__(self, known: int) -> None:
        self.known = known
        self.tried: list[int] = []

    def undefineFlags(self, flags: int) -> None:  # noqa: N802 - libvirt's name
        self.tried.append(flags)
        if flags & ~self.known:
            raise LibvirtError(8, "unsupported flags")


@pytest.mark.parametrize("known", [EVERY_FLAG, 0x17, 0x7, 0x3, 0x1, 0x0])
def test_an_old_libvirt_is_asked_for_as_much_as_it_knows(known: int) -> None:
    domain = OldDomain(known)
    remove._undefine(cast(Any, domain))
    assert domain.tried[0] == EVERY_FLAG
    assert domain.tried[-1] == known
