"""The kvm driver's ground work on a real libvirt: uploads, overlays, reservations and domains, also cut off half-way.

Everything is made under names of its own; the default network and pool are not touched.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from contract.libvirt_objects import (
    MIB,
    URI,
    image_of,
    ip,
    own_network,
    own_pool,
    plugged_in,
    qcow2_image,
    removed_at_the_end,
    require_libvirt,
    unique,
    vm_of,
)
from lab.libvirtd import running
from patience import LIMIT
from pymachine.errors import CheckFailed, DriverError
from pymachine_kvm.base_images import MARK, base_format, base_name, base_users, drop_base, ensure_base, has_base
from pymachine_kvm.dhcp import choose_mac, find_address, release, reserve
from pymachine_kvm.domain import DomainSpec, define
from pymachine_kvm.handle import Vm
from pymachine_kvm.images.image import Image
from pymachine_kvm.ipam import read_subnet
from pymachine_kvm.libvirt_api import connect
from pymachine_kvm.network import ensure_network, entries_by_place
from pymachine_kvm.storage import find_volume, folder_of, make_disk, put_seed, refresh, volume_path
from pymachine_kvm.usernet import choose_ports, forwards

pytestmark = pytest.mark.lab  # needs root's libvirt, and takes its time


@pytest.fixture(scope="module", autouse=True)
def daemon() -> Iterator[None]:
    require_libvirt()
    with running():
        yield


@pytest.fixture
def connection() -> Iterator[Any]:
    with connect(URI) as connection:
        yield connection


@pytest.fixture
def pool(connection: Any) -> Iterator[Any]:
    with own_pool(connection) as pool:
        yield pool


@pytest.fixture
def network(connection: Any) -> Iterator[Any]:
    with own_network(connection) as network:
        yield network


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return qcow2_image(tmp_path, 64 * MIB, 24 * MIB)


def ignore(text: str) -> None:
    """Nobody listens."""


def content(pool: Any, name: str) -> bytes:
    return Path(volume_path(pool, name)).read_bytes()


# -- bases, disks and seeds --


@pytest.mark.parametrize("format", ["qcow2", "raw"])
def test_an_image_arrives_as_it_is_and_is_copied_once(
    connection: Any, pool: Any, tmp_path: Path, image: Image, format: str
) -> None:
    if format == "raw":
        image = image_of(tmp_path / "content", "raw", 64 * MIB)
    said: list[str] = []
    name = ensure_base(connection, pool, image, said.append)
    first = Path(volume_path(pool, name)).stat()
    again = ensure_base(connection, pool, image, said.append)

    assert again == name == base_name(image)
    assert content(pool, name) == image.path.read_bytes()
    assert find_volume(pool, name).info()[1] == 64 * MIB
    assert first.st_blocks * 512 < 32 * MIB  # holes are holes still
    assert Path(volume_path(pool, name)).stat().st_mtime_ns == first.st_mtime_ns
    assert said[0].startswith("uploading img: 1")
    assert said[-2].startswith("uploaded img: 24 MiB in ")
    assert said[-1].endswith(" copy")


UPLOAD = """
import os, signal, sys
from pathlib import Path
from pymachine_kvm.images.image import Image
from pymachine_kvm.base_images import ensure_base
from pymachine_kvm.libvirt_api import connect
uri, pool, path, digest, size, fatal = sys.argv[1:]
def told(text):
    print(text, flush=True)
    if fatal and text.startswith(f"uploading img: {fatal}"):
        os.kill(os.getpid(), signal.SIGKILL)
image = Image("img", Path(path), digest, "qcow2", os.stat(path).st_size, int(size))
with connect(uri) as connection:
    ensure_base(connection, connection.storagePoolLookupByName(pool), image, told)
"""


def upload_elsewhere(pool: Any, image: Image, fatal: str = "") -> subprocess.CompletedProcess[str]:
    """Upload in a process of its own, which ends by SIGKILL when its progress begins with ``fatal``."""
    words = (URI, pool.name(), str(image.path), image.digest, str(image.virtual_size), fatal)
    return subprocess.run(
        [sys.executable, "-c", UPLOAD, *words], capture_output=True, text=True, timeout=LIMIT, check=False
    )


def test_an_upload_that_was_killed_is_no_base_and_is_done_anew(connection: Any, pool: Any, image: Image) -> None:
    killed = upload_elsewhere(pool, image, fatal="5")
    refresh(pool)
    half = find_volume(pool, base_name(image)) is not None
    complete = has_base(pool, image)
    ensure_base(connection, pool, image, ignore)

    assert killed.returncode == -signal.SIGKILL
    assert (half, complete) == (True, False)
    assert content(pool, base_name(image)) == image.path.read_bytes()


def test_two_creates_at_once_upload_once(pool: Any, image: Image) -> None:
    with ThreadPoolExecutor() as pairs:
        outcomes = list(pairs.map(lambda _: upload_elsewhere(pool, image), range(2)))
    said = "".join(outcome.stdout for outcome in outcomes)

    assert [outcome.returncode for outcome in outcomes] == [0, 0], [outcome.stderr for outcome in outcomes]
    assert said.count("uploaded img") == 1
    assert said.count("nothing to copy") == 1


def test_a_pool_that_fills_up_on_the_way_is_told_and_given_its_space_back(connection: Any, image: Image) -> None:
    with own_pool(connection, size=100 * MIB) as pool:
        filler = Path(folder_of(pool)) / "filler"

        def fill(_text: str) -> None:
            if not filler.exists():
                with filler.open("wb") as file:
                    file.write(bytes(85 * MIB))

        with pytest.raises(DriverError, match="No space left") as raised:
            ensure_base(connection, pool, image, fill)
        filler.unlink()
        refresh(pool)

        assert "free space" in str(raised.value.hint)
        assert pool.listVolumes() == []


def test_a_pool_without_room_is_refused_before_anything_is_made(connection: Any, image: Image) -> None:
    with own_pool(connection, size=40 * MIB) as pool:
        with pytest.raises(CheckFailed, match=r"has 40 MiB left, image img needs 88 MiB"):
            ensure_base(connection, pool, image, ignore)

        assert pool.listVolumes() == []


def test_a_tampered_image_leaves_nothing_in_the_pool(connection: Any, pool: Any, image: Image) -> None:
    with pytest.raises(DriverError, match="verified"):
        ensure_base(connection, pool, replace(image, digest="0" * 64), ignore)

    assert pool.listVolumes() == []


def test_a_disk_is_an_overlay_and_keeps_its_base_from_being_dropped(connection: Any, pool: Any, image: Image) -> None:
    vm = vm_of("", pool.name()).with_(base=ensure_base(connection, pool, image, ignore))
    path = make_disk(pool, vm, 100 * MIB)
    info = subprocess.run(["qemu-img", "info", "-U", path], capture_output=True, text=True, check=True).stdout

    assert f"backing file: {volume_path(pool, vm.base)}" in info
    assert "virtual size: 100 MiB" in info
    assert base_users(connection, pool, vm.base) == (vm.disk,)
    with pytest.raises(CheckFailed, match=vm.disk):
        drop_base(connection, pool, vm.base)


def test_a_mark_removed_by_hand_costs_no_machine_its_base(connection: Any, pool: Any, image: Image) -> None:
    vm = vm_of("", pool.name()).with_(base=ensure_base(connection, pool, image, ignore))
    make_disk(pool, vm, 100 * MIB)
    find_volume(pool, vm.base + MARK).delete(0)
    before = Path(volume_path(pool, vm.base)).stat()
    ensure_base(connection, pool, image, ignore)

    assert has_base(pool, image)
    assert Path(volume_path(pool, vm.base)).stat().st_mtime_ns == before.st_mtime_ns


def test_a_seed_is_replaced_whole_and_nobody_else_reads_it(connection: Any, pool: Any) -> None:
    long, short = b"secret" * 100_000, b"nothing"
    put_seed(connection, pool, "seed.iso", long)
    first = content(pool, "seed.iso")
    path = put_seed(connection, pool, "seed.iso", short)

    assert (first, content(pool, "seed.iso")) == (long, short)
    assert Path(path).stat().st_mode & 0o777 == 0o600


# -- networks and reservations --


def test_a_network_is_started_and_an_address_is_in_force_and_in_its_definition(connection: Any, network: Any) -> None:
    found = ensure_network(connection, network.name(), ignore)
    vm = vm_of(network.name(), "default")
    address = reserve(connection, vm)
    places = list(entries_by_place(network))

    assert found.subnet is not None
    assert IPv4Address(address) in found.subnet
    assert len(places) == 2
    assert all([entry.ip for entry in entries] == [address] for _, entries in places)
    assert reserve(connection, vm) == address


def test_many_creates_at_once_get_an_address_each(connection: Any, network: Any) -> None:
    name = network.name()
    ensure_network(connection, name, ignore)
    vms = [vm_of(name, "default") for _ in range(8)]  # as many as it has addresses

    def reserve_by_itself(vm: Vm) -> str:
        with connect(URI) as own:
            return reserve(own, vm)

    with ThreadPoolExecutor(8) as creates:
        addresses = list(creates.map(reserve_by_itself, vms))

    assert len(set(addresses)) == 8
    with pytest.raises(CheckFailed, match="no address"):
        reserve(connection, vm_of(name, "default"))


def test_the_machine_is_given_what_was_reserved_and_rm_ends_its_lease(connection: Any, network: Any) -> None:
    name = network.name()
    bridge = ensure_network(connection, name, ignore).bridge
    vm = vm_of(name, "default")
    address = reserve(connection, vm)
    with plugged_in(bridge, vm.mac) as card:
        said = ask_for_address(card)
        leased = await_lease(connection, vm)
        release(connection, vm)
        after = await_no_lease(network, vm)

    assert f"lease of {address} obtained" in said
    assert leased == address
    assert after == []
    assert [entry for _, entries in entries_by_place(network) for entry in entries] == []


def ask_for_address(card: str) -> str:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("no busybox here: its DHCP client plays the machine")
    words = [busybox, "udhcpc", "-i", card, "-n", "-q", "-f", "-t", "10", "-s", "/bin/true"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, check=False)
    return done.stdout + done.stderr


def await_lease(connection: Any, vm: Vm) -> str:
    """dnsmasq tells libvirt of a lease a moment after it has told the machine."""
    end = time.monotonic() + LIMIT
    while not (address := find_address(connection, vm)) and time.monotonic() < end:
        time.sleep(0.1)
    return address


def await_no_lease(network: Any, vm: Vm) -> list[Any]:
    end = time.monotonic() + LIMIT
    while (leases := network.DHCPLeases(vm.mac)) and time.monotonic() < end:
        time.sleep(0.1)
    return list(leases)


def test_a_network_of_ours_moves_off_a_real_route_and_works_there(connection: Any, network: Any) -> None:
    name = network.name()
    before = read_subnet(network.XMLDesc(0))
    assert before is not None
    card = unique("x").replace("-", "")[:14]
    ip("link", "add", card, "type", "bridge")
    try:
        ip("address", "add", f"{before.network[200]}/24", "dev", card)
        ip("link", "set", card, "up")
        with pytest.raises(CheckFailed, match=f"route to {before.network}"):
            ensure_network(connection, name, ignore)
        notices: list[str] = []
        found = ensure_network(connection, name, notices.append, ours=name)
        address = reserve(connection, vm_of(name, "default"))
    finally:
        ip("link", "del", card)

    assert found.subnet not in (None, before.network)
    assert found.subnet is not None
    assert IPv4Address(address) in found.subnet
    assert "moved it" in notices[0]


# -- domains --


@pytest.fixture
def spec(connection: Any, pool: Any, network: Any, image: Image) -> DomainSpec:
    """A machine with everything but something to boot."""
    ensure_network(connection, network.name(), ignore)
    vm = vm_of(network.name(), pool.name()).with_(base=ensure_base(connection, pool, image, ignore))
    vm = vm.with_(mac=choose_mac(connection, vm.id, vm.network))
    return DomainSpec(
        vm, cpus=1, memory=256 * MIB, disk=make_disk(pool, vm, 100 * MIB), base=volume_path(pool, vm.base),
        base_format=base_format(vm.base), seed=put_seed(connection, pool, vm.seed, bytes(4096)),
        console_log=f"{folder_of(pool)}/console.log",
    )  # fmt: skip


def started(connection: Any, spec: DomainSpec) -> Any:
    domain = define(connection, spec)
    domain.create()
    return domain


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_domain_starts_on_its_overlay_and_logs_its_console(
    connection: Any, pool: Any, spec: DomainSpec, firmware: str
) -> None:
    with removed_at_the_end(connection, spec.vm):
        domain = started(connection, replace(spec, firmware=firmware))
        refresh(pool)

        assert domain.isActive()
        assert find_volume(pool, "console.log") is not None
        assert base_users(connection, pool, spec.vm.base) == (spec.vm.name,)
        assert spec.vm.mac in domain.XMLDesc(0)
        assert ("_CODE" in domain.XMLDesc(0), ".ms.fd" in domain.XMLDesc(0)) == (firmware == "uefi", False)
        assert choose_mac(connection, "0" * 32) != spec.vm.mac
        domain.destroy()
        domain.undefineFlags(4)  # with its firmware's variables


def test_a_machine_without_a_network_listens_on_loopback_for_its_ports(connection: Any, spec: DomainSpec) -> None:
    ssh_port, engine_port = choose_ports(connection, 2)
    vm = spec.vm.with_(network="", ssh_port=ssh_port, engine_port=engine_port)
    with removed_at_the_end(connection, vm):
        started(connection, replace(spec, vm=vm, ports=forwards(vm, 2376)))
        listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout

        assert f"127.0.0.1:{ssh_port} " in listening
        assert f"127.0.0.1:{engine_port} " in listening
        assert not {ssh_port, engine_port} & set(choose_ports(connection, 200))


def test_a_domain_of_that_name_that_is_not_ours_is_refused(connection: Any, spec: DomainSpec) -> None:
    with removed_at_the_end(connection, spec.vm):
        define(connection, spec)
        other = replace(spec, vm=vm_of(spec.vm.network, spec.vm.pool, spec.vm.name))
        with pytest.raises(CheckFailed, match="machine's"):
            define(connection, other)
