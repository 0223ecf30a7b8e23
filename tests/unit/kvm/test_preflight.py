"""What is checked before a machine is made: each finding alone, and the look around that gathers the facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from pymachine.errors import CheckFailed
from pymachine.sizes import GIB
from pymachine_kvm.base_images import MARK, base_name
from pymachine_kvm.handle import Vm, volume_names
from pymachine_kvm.host_facts import Emulator, Facts, NetworkFacts, PoolFacts, collect_facts, read_emulator
from pymachine_kvm.images.image import Image
from pymachine_kvm.kvm_device import OPEN_THE_NODE, DeviceFile, QemuAccount
from pymachine_kvm.libvirt_api import connect
from pymachine_kvm.options import DomainConfig, KvmOptions, read_options
from pymachine_kvm.preflight import LEAST_IMAGE, ROOM_FOR_ENGINE, ROOM_TO_WORK, PreflightFault, check, drops, findings
from pymachine_kvm.virtualization import Promise

OWN = Vm("qemu:///system", "0" * 32, "node1", "default", "disk", "seed", "52:54:00:00:00:01")
QEMU = QemuAccount("libvirt-qemu", 64055, frozenset({107}))
CLOSED = DeviceFile(0o20600, 0, 0, QEMU)
IMAGE = Image("debian-13", Path("/shelf/debian-13.img"), "ab" * 32, "qcow2", GIB, 3 * GIB)
FACTS = Facts(
    uri="qemu:///system",
    local=True,
    session=False,
    root=False,
    version=11_000_000,
    promise=Promise("x86_64", frozenset({"x86_64"}), local=True, node=DeviceFile(0o20666, 0, 0, QEMU)),
    emulated=frozenset({"x86_64"}),
    cpus=4,
    memory=8 * GIB,
    memory_free=4 * GIB,
    emulator=Emulator(255, uefi=True),
    domain=None,
    network=NetworkFacts(active=True, bridge="virbr0", reserves=True),
    pool=PoolFacts(100 * GIB),
)
ARM_IMAGE = replace(IMAGE, arch="aarch64")
ARM = replace(FACTS, promise=replace(FACTS.promise, arch="aarch64"), emulated=frozenset({"x86_64", "aarch64"}))


def wanted(**options: Any) -> DomainConfig:
    return read_options(KvmOptions(**options))


def found(facts: Facts, *, image: Image | None = IMAGE, **options: Any) -> list[PreflightFault]:
    return list(findings(facts, wanted(**options), image, OWN))


def values(message: str) -> list[str]:
    """The words of a message that are not plain English: options, sizes, names with a digit."""
    return [word for word in message.split() if word.startswith("--") or any(letter.isdigit() for letter in word)]


def refused(facts: Facts, *, image: Image | None = IMAGE, **options: Any) -> PreflightFault:
    (finding,) = found(facts, image=image, **options)
    assert finding.refuses
    return finding


def warned(facts: Facts, *, image: Image | None = IMAGE, **options: Any) -> PreflightFault:
    (finding,) = found(facts, image=image, **options)
    assert not finding.refuses
    return finding


def test_a_host_that_is_as_it_should_be_has_no_findings() -> None:
    assert found(FACTS) == []


def test_an_image_that_is_not_there_yet_is_judged_by_the_least_that_it_takes() -> None:
    assert found(FACTS, image=None) == []
    assert refused(replace(FACTS, pool=PoolFacts(1 * GIB)), image=None).refuses
    least = LEAST_IMAGE + ROOM_TO_WORK + ROOM_FOR_ENGINE
    assert not warned(replace(FACTS, pool=PoolFacts(least)), image=None).refuses


# Who asks, and for whom.


def test_a_session_of_root_is_refused_since_libvirt_takes_it_for_the_systems() -> None:
    finding = refused(replace(FACTS, root=True, network=None), kvm_uri="qemu:///session")

    assert "root" in finding.message
    assert "qemu:///system" in finding.hint


def test_a_session_of_root_on_another_host_is_that_hosts_matter() -> None:
    remote = replace(FACTS, root=True, local=False, session=True, network=None)

    assert found(remote, kvm_uri="qemu+ssh://root@there/session") == []


def test_a_domain_of_that_name_that_is_not_ours_is_refused() -> None:
    finding = refused(replace(FACTS, domain="11111111-0000-0000-0000-000000000000"))

    assert "domain 'node1'" in finding.message
    assert "virsh -c 'qemu:///system' dumpxml node1" in finding.hint


def test_a_domain_that_is_ours_is_gone_on_with() -> None:
    assert found(replace(FACTS, domain=OWN.uuid)) == []


# Processor, memory, firmware.


def test_an_architecture_without_an_emulator_is_refused_with_its_package() -> None:
    finding = refused(replace(ARM, emulated=frozenset({"x86_64"}), emulator=None), image=ARM_IMAGE)

    assert "qemu:///system" in finding.message
    assert "aarch64" in finding.message
    assert finding.hint.endswith("apt install qemu-system-arm")


def test_hardware_that_is_insisted_on_and_closed_is_refused_with_the_mending_command() -> None:
    finding = refused(replace(FACTS, promise=replace(FACTS.promise, node=CLOSED)), kvm_virt_type="kvm")

    assert finding.hint == OPEN_THE_NODE


def test_hardware_that_is_insisted_on_and_not_offered_is_refused() -> None:
    finding = refused(replace(FACTS, promise=replace(FACTS.promise, offered=frozenset())), kvm_virt_type="kvm")

    assert "libvirt" in finding.message
    assert finding.hint != OPEN_THE_NODE


def test_hardware_that_is_insisted_on_is_refused_once_a_guest_has_shown_that_it_does_not_work() -> None:
    refuted = replace(FACTS, promise=replace(FACTS.promise, refuted="it hangs there"))

    finding = refused(refuted, kvm_virt_type="kvm")
    assert "it hangs there" in finding.message
    assert "virtualisation.json" in finding.hint
    assert found(refuted) == []


def test_a_closed_device_slows_the_systems_daemon_down() -> None:
    finding = warned(replace(FACTS, promise=replace(FACTS.promise, node=CLOSED)))

    assert finding.hint == OPEN_THE_NODE


def test_a_closed_device_does_not_slow_a_session_down() -> None:
    assert found(replace(FACTS, session=True, promise=replace(FACTS.promise, node=CLOSED))) == []


def test_more_processors_than_the_host_has_are_warned_of() -> None:
    assert "--kvm-cpus 4" in warned(FACTS, kvm_cpus=5).hint


def test_more_processors_than_qemu_can_show_are_refused() -> None:
    finding = refused(replace(FACTS, emulator=Emulator(8, uefi=True)), kvm_cpus=9)

    assert finding.message.startswith("--kvm-cpus: 9 ")


def test_more_memory_than_the_host_has_is_refused() -> None:
    finding = refused(FACTS, kvm_memory="9G")

    assert values(finding.message) == ["--kvm-memory:", "9.0G", "8.0G"]
    assert finding.hint.endswith(" --kvm-memory 4096M")


def test_more_memory_than_is_free_is_warned_of() -> None:
    assert "4.0G of memory" in warned(FACTS, kvm_memory="5G").message


def test_free_memory_that_is_not_known_is_not_judged() -> None:
    assert found(replace(FACTS, memory_free=None), kvm_memory="5G") == []


@pytest.mark.parametrize(
    ("facts", "package"),
    [(FACTS, "install ovmf; or --kvm-firmware bios"), (ARM, "install qemu-efi-aarch64")],
)
def test_firmware_that_is_missing_is_refused_with_its_package(facts: Facts, package: str) -> None:
    image = replace(IMAGE, arch=facts.promise.arch)
    finding = refused(replace(facts, emulator=Emulator(255, uefi=False)), image=image, kvm_firmware="uefi")

    assert finding.hint.endswith(package)


def test_bios_needs_no_uefi() -> None:
    assert found(replace(FACTS, emulator=Emulator(255, uefi=False)), kvm_firmware="bios") == []


def test_aarch64_has_no_bios() -> None:
    assert "aarch64" in refused(ARM, image=ARM_IMAGE, kvm_firmware="bios").message


# Disk, pool.


def test_a_disk_smaller_than_the_image_is_refused_with_the_least_that_does() -> None:
    finding = refused(FACTS, kvm_disk="2G")

    assert values(finding.message) == ["--kvm-disk:", "2.0G", "debian-13", "(3.0G)"]
    assert finding.hint.endswith(" --kvm-disk 3G")


def test_an_image_for_another_architecture_is_refused() -> None:
    finding = refused(ARM, kvm_arch="arm64")
    assert values(finding.message)[-2:] == ["x86_64,", "aarch64"]
    assert finding.hint.endswith("--kvm-arch x86_64")
    # The machine's architecture is its host's where nobody names one.
    assert refused(ARM).refuses


def test_a_pool_without_room_for_image_and_machine_is_refused() -> None:
    full = replace(FACTS, pool=PoolFacts(IMAGE.size + ROOM_TO_WORK + ROOM_FOR_ENGINE - 1))

    assert values(refused(full).message) == ["3.0G", "3.0G"]


def test_an_image_with_the_engine_inside_needs_no_room_for_one() -> None:
    pool = PoolFacts(IMAGE.size + ROOM_TO_WORK)

    assert refused(replace(FACTS, pool=pool)).refuses
    assert not warned(replace(FACTS, pool=pool), image=replace(IMAGE, engine="26.1.5")).refuses
    full = replace(pool, free=1 * GIB)
    assert refused(replace(FACTS, pool=full), image=replace(IMAGE, engine="26.1.5", size=1 << 20)).refuses


def test_a_small_disk_takes_no_more_than_its_size() -> None:
    small = replace(IMAGE, size=1 << 20, virtual_size=GIB)

    assert found(replace(FACTS, pool=PoolFacts(GIB + (2 << 20))), image=small, kvm_disk="1G") == []


def test_a_machine_whose_disk_is_there_already_took_its_room_then() -> None:
    begun = PoolFacts(1 << 20, frozenset({volume_names(OWN.name, OWN.id)[0]}))

    assert found(replace(FACTS, pool=begun)) == []


def test_a_pool_that_qemu_does_not_get_to_is_refused_with_the_command_that_opens_it() -> None:
    closed = PoolFacts(100 * GIB, folder="/home/ann/my vms", closed=Path("/home/ann"), user="libvirt-qemu")
    finding = refused(replace(FACTS, pool=closed))

    assert "/home/ann/my vms" in finding.message
    assert finding.hint.startswith("sudo setfacl -m u:libvirt-qemu:x /home/ann;")


def test_an_image_that_the_pool_holds_already_needs_no_room() -> None:
    name = base_name(IMAGE)
    holding = PoolFacts(ROOM_TO_WORK + ROOM_FOR_ENGINE, frozenset({name, name + MARK}))

    assert not warned(replace(FACTS, pool=holding)).refuses
    assert refused(replace(FACTS, pool=replace(holding, volumes=frozenset({name})))).refuses


def test_a_disk_that_may_outgrow_the_pool_is_warned_of() -> None:
    assert "20.0G" in warned(replace(FACTS, pool=PoolFacts(10 * GIB))).message


def test_a_pool_that_is_missing_is_refused_unless_it_is_ours_to_make() -> None:
    none = replace(FACTS, pool=None)

    assert found(none) == []
    assert "storage pool 'fast'" in refused(none, kvm_pool="fast").message


def test_the_room_of_a_pool_that_does_not_run_is_not_judged() -> None:
    assert found(replace(FACTS, pool=PoolFacts(None))) == []


# Network.


def test_a_network_that_is_missing_is_refused_unless_it_is_ours_to_make() -> None:
    none = replace(FACTS, network=None)

    assert found(none) == []
    assert "network 'lan'" in refused(none, kvm_network="lan").message


def test_a_network_in_the_way_of_a_route_is_refused_unless_it_is_ours_to_move() -> None:
    clash = NetworkFacts(active=False, bridge="virbr1", reserves=True, clash=IPv4Network("192.168.0.0/16"))

    assert found(replace(FACTS, network=clash)) == []
    finding = refused(replace(FACTS, network=clash), kvm_network="lan")
    assert "192.168.0.0/16" in finding.message
    assert "net-edit lan" in finding.hint


def test_a_session_needs_no_network() -> None:
    assert found(replace(FACTS, session=True, network=None), kvm_network="lan") == []


DOCKER = ("-P INPUT ACCEPT", "-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER")
LIBVIRT = (*DOCKER, "-N LIBVIRT_FWO", "-A FORWARD -j LIBVIRT_FWX", "-A FORWARD -j LIBVIRT_FWO")
ALLOWED = (*DOCKER, "-A DOCKER-USER -i virbr0 -j ACCEPT", "-A DOCKER-USER -o virbr0 -j ACCEPT")
OTHER = (*DOCKER, "-A DOCKER-USER -i br0 -j ACCEPT")


@pytest.mark.parametrize(
    ("rules", "own_table", "dropped"),
    [
        (DOCKER, True, True),
        (OTHER, True, True),
        (ALLOWED, True, False),
        (LIBVIRT, True, False),
        (("-P FORWARD ACCEPT",), True, False),
        (DOCKER, False, False),
        (None, True, True),
        (None, False, False),
    ],
)
def test_docker_drops_what_no_rule_lets_pass(rules: tuple[str, ...] | None, own_table: bool, dropped: bool) -> None:
    assert drops(rules, "virbr0", own_table=own_table) is dropped


def test_a_docker_that_drops_is_warned_of_with_the_mending_command() -> None:
    finding = warned(replace(FACTS, docker=True, rules=DOCKER))

    assert "Docker engine" in finding.message
    assert (
        "sudo iptables -I DOCKER-USER -i virbr0 -j ACCEPT && sudo iptables -I DOCKER-USER -o virbr0" in finding.hint
    )


def test_a_docker_whose_rules_are_not_for_us_to_see_may_drop() -> None:
    assert "only root" in warned(replace(FACTS, docker=True, rules=None)).message


def test_a_libvirt_whose_rules_come_first_is_not_dropped() -> None:
    assert found(replace(FACTS, docker=True, rules=DOCKER, version=9_000_000)) == []


def test_a_bridge_into_the_hosts_network_has_no_rules_of_libvirt() -> None:
    bridged = NetworkFacts(active=True, bridge="br0", reserves=False)
    facts = replace(FACTS, docker=True, rules=DOCKER, version=9_000_000, network=bridged)

    assert "-i br0 -j ACCEPT" in warned(facts).hint


# Mounts.


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    finding = refused(FACTS, kvm_mount=(f"{tmp_path}/src:/src", f"{tmp_path}:/all:ro"))

    assert finding.message.startswith(f"--kvm-mount: {tmp_path}/src ")
    assert finding.hint == f"mkdir -p '{tmp_path}/src'"


def test_a_folder_of_another_host_is_not_judged(tmp_path: Path) -> None:
    assert found(replace(FACTS, local=False), kvm_mount=(f"{tmp_path}/src:/src",)) == []


# The look around, on libvirt's own test driver.


@pytest.fixture
def conn() -> Iterator[Any]:
    with connect("test:///default") as connection:
        yield connection


def test_every_refusal_is_told_at_once_and_warnings_beside_them(conn: Any) -> None:
    said: list[str] = []
    options = wanted(kvm_uri="test:///default", kvm_memory="900G", kvm_cpus=17, kvm_network="lan", kvm_pool="fast")

    with pytest.raises(CheckFailed) as caught:
        check(conn, options, None, replace(OWN, name="test"), said.append)

    message = caught.value.message
    assert message.startswith("4 ")
    assert message.count("\n  ") >= 4
    for part in (
        "domain 'test'",
        "900.0G is more",
        "network 'lan'",
        "storage pool 'fast'",
        "--kvm-pool selects",
    ):
        assert part in message
    # This host's own /dev/kvm may be worth a warning as well.
    (of_processors,) = [line for line in said if "virtual processors" in line]
    assert [word for word in of_processors.split() if word.isdigit()][:2] == ["17", "16"]


def test_a_host_is_looked_at_as_it_is(conn: Any) -> None:
    facts = collect_facts(conn, wanted(kvm_uri="test:///default", kvm_pool="default-pool"), "node1")

    assert (facts.cpus, facts.memory, facts.domain) == (16, 3 * GIB, None)
    assert facts.emulated == frozenset({"i686"})
    assert facts.network is not None
    assert (facts.network.bridge, facts.network.reserves) == ("virbr0", True)
    assert facts.pool is not None
    assert facts.pool.free == 100 * GIB


def test_a_look_around_changes_nothing(conn: Any) -> None:
    before = conn.listAllDomains(), conn.listNetworks(), conn.listStoragePools(), conn.listDefinedNetworks()

    collect_facts(conn, wanted(kvm_uri="test:///default"), "node1")

    after = conn.listAllDomains(), conn.listNetworks(), conn.listStoragePools(), conn.listDefinedNetworks()
    assert [len(part) for part in before] == [len(part) for part in after]


@pytest.mark.parametrize(
    ("os", "uefi"),
    [
        ("<enum name='firmware'><value>efi</value></enum>", True),
        ("<enum name='firmware'><value>bios</value></enum>", False),
        ("<enum name='firmware'/><loader supported='yes'><value>/usr/share/OVMF/OVMF_CODE.fd</value></loader>", True),
        ("<enum name='firmware'/><loader supported='yes'/>", False),
    ],
)
def test_firmware_is_read_from_what_qemu_can_do(os: str, uefi: bool) -> None:
    text = f"<domainCapabilities><vcpu max='288'/><os supported='yes'>{os}</os></domainCapabilities>"

    assert read_emulator(text) == Emulator(288, uefi)
