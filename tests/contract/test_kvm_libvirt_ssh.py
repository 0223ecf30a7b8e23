"""A libvirt on another host, by ``qemu+ssh``: this host, reached through a real sshd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from contract.libvirt_objects import MIB, own_network, own_pool, qcow2_image, require_libvirt, vm_of
from contract.sshd import make_key, require_sshd, running_sshd
from lab.libvirtd import running
from pymachine.errors import CheckFailed
from pymachine_kvm.base_images import ensure_base
from pymachine_kvm.dhcp import release, reserve
from pymachine_kvm.libvirt_api import connect, is_local
from pymachine_kvm.network import ensure_network
from pymachine_kvm.storage import make_disk, put_seed, volume_path
from pymachine_kvm.usernet import choose_ports

pytestmark = pytest.mark.lab  # needs root's libvirt, and takes its time


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    """What a URI needs to get in."""
    require_libvirt()
    require_sshd()
    with running(), running_sshd() as server:
        key = make_key(server.folder / "key")
        server.authorize("root", key)
        yield f"qemu+ssh://root@127.0.0.1:{server.port}/system?no_verify=1&keyfile={quote(str(key))}"


@pytest.fixture
def connection(place: str) -> Iterator[Any]:
    with connect(place) as connection:
        yield connection


def ignore(text: str) -> None:
    """Nobody listens."""


def test_disks_seeds_and_addresses_are_made_on_the_other_host(connection: Any, tmp_path: Path) -> None:
    image = qcow2_image(tmp_path, 32 * MIB, 8 * MIB)
    with own_pool(connection) as pool, own_network(connection) as network:
        vm = vm_of(network.name(), pool.name()).with_(base=ensure_base(connection, pool, image, ignore))
        disk = make_disk(pool, vm, 64 * MIB)
        seed = put_seed(connection, pool, vm.seed, b"seed" * 1000)
        found = ensure_network(connection, vm.network, ignore)
        address = reserve(connection, vm)
        base = volume_path(pool, vm.base)

        assert not is_local(connection)
        assert Path(base).read_bytes() == image.path.read_bytes()
        assert Path(seed).read_bytes() == b"seed" * 1000
        assert Path(disk).exists()
        assert f"{vm.mac}' name='{vm.name}' ip='{address}'" in network.XMLDesc(0)
        assert found.reserves
        release(connection, vm)
        assert vm.mac not in network.XMLDesc(0)


def test_ports_on_its_loopback_are_of_no_use_here(connection: Any) -> None:
    with pytest.raises(CheckFailed, match="loopback"):
        choose_ports(connection, 2)


def test_a_key_that_is_not_let_in_is_refused_without_a_question(place: str, tmp_path: Path) -> None:
    key = make_key(tmp_path / "other")
    uri = f"{place.partition('keyfile=')[0]}keyfile={quote(str(key))}"
    with pytest.raises(CheckFailed, match="Permission denied") as refused, connect(uri):
        pass
    assert "ssh -o BatchMode=yes" in str(refused.value.hint)
