"""What a create left that nobody knows of any more, on a real libvirt: its card tells whose the parts are."""

from __future__ import annotations

import pytest

from contract.libvirt_objects import URI, own_network, own_pool, removed_at_the_end, require_libvirt, vm_of
from lab.libvirtd import running
from pymachine.driver import Search
from pymachine_kvm import leftovers
from pymachine_kvm.cards import Card, cards, put_card
from pymachine_kvm.dhcp import reserve
from pymachine_kvm.libvirt_api import connect
from pymachine_kvm.options import KvmOptions
from pymachine_kvm.ownership import Keeper
from pymachine_kvm.storage import put_seed, refresh

pytestmark = pytest.mark.lab  # needs root's libvirt, and takes its time

BROKEN = "broken-00000000.pymachine.json"


def test_what_a_create_left_before_its_domain_is_told_by_its_card_and_goes() -> None:
    require_libvirt()
    said: list[str] = []
    with running(), connect(URI) as connection, own_pool(connection) as pool, own_network(connection) as network:
        vm = vm_of(network.name(), pool.name())
        with removed_at_the_end(connection, vm):
            card = Card(vm, Keeper("lost-store", "its home"))
            put_card(connection, pool, card)
            put_card(connection, pool, card)
            put_seed(connection, pool, vm.seed, b"secrets")
            put_seed(connection, pool, BROKEN, b"{")
            reserve(connection, vm)
            assert [found for found in cards(connection, said.append) if found.vm == vm] == [card]
            assert any(BROKEN in line for line in said)
            lives = {"lost-store": False}
            search = Search(KvmOptions(kvm_uri=URI), "own", {}, lives=lambda store, _home: lives.get(store))
            (left,) = [found for found in leftovers.find_leftovers(search) if found.id == vm.uuid]
            assert (left.ours, left.name) == (False, vm.name)
            leftovers.discard(left)
            leftovers.discard(left)
            refresh(pool)
            assert pool.listVolumes() == [BROKEN]
            assert vm.mac not in network.XMLDesc(0)
            assert [found for found in leftovers.find_leftovers(search) if found.id == vm.uuid] == []
