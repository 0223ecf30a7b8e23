"""What libvirt is given to define, as committed in tests/golden/libvirt, and libvirt's own schema on each."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from pymachine.errors import DriverError
from pymachine.sizes import GIB
from pymachine.templates import render
from pymachine_kvm.domain import DomainSpec, domain_xml
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import connect, libvirt, translated
from pymachine_kvm.options import Mount

POOL = "/var/lib/libvirt/images"
NODE1 = Vm(
    uri="qemu:///system", id="0f3c9a7e5b1d4c2e8a6f7b8c9d0e1f2a", name="node1", pool="default",
    disk="node1-0f3c9a7e.qcow2", seed="node1-0f3c9a7e-seed.iso", mac="52:54:00:ab:cd:ef", network="default",
    address="192.168.122.50", base="pymachine-base-0123456789abcdef.qcow2", virt_type="kvm",
)  # fmt: skip
PLAIN = DomainSpec(
    NODE1, cpus=2, memory=2 * GIB, disk=f"{POOL}/{NODE1.disk}", base=f"{POOL}/{NODE1.base}", base_format="qcow2",
    seed=f"{POOL}/{NODE1.seed}", console_log=f"{POOL}/node1-0f3c9a7e-console.log",
)  # fmt: skip
SESSION = NODE1.with_(uri="qemu:///session", network="", virt_type="qemu", ssh_port=23022, engine_port=23376)
PORTS = ((23022, 22), (23376, 2376))
MOUNTS = (Mount("/srv/a & b", "/srv", False, "pymachine0"), Mount("/etc/<x>", "/x", True, "pymachine1"))


def changed(**changes: object) -> DomainSpec:
    values = {name: getattr(PLAIN, name) for name in PLAIN.__dataclass_fields__}
    return DomainSpec(**{**values, **changes})


SPECS = {
    "x86_64-bios-kvm": PLAIN,
    "x86_64-bios-qemu": changed(vm=NODE1.with_(virt_type="qemu")),
    "x86_64-uefi-kvm": changed(firmware="uefi"),
    "x86_64-raw-base": changed(base=f"{POOL}/base.raw", base_format="raw"),
    "x86_64-session": changed(vm=SESSION, ports=PORTS),
    "x86_64-session-passt": changed(vm=SESSION, ports=PORTS, passt=True),
    "x86_64-mounts-virtiofs": changed(mounts=MOUNTS[:1], shared="virtiofs"),
    "x86_64-mounts-9p": changed(mounts=MOUNTS, shared="9p"),
    "aarch64-kvm": changed(vm=NODE1.with_(arch="aarch64")),
    "aarch64-qemu-session": changed(vm=SESSION.with_(arch="aarch64"), ports=PORTS),
}


@contextmanager
def refused_if_unknown(connection: Any, spec: DomainSpec) -> Iterator[None]:
    """libvirt before 9.1 refuses passt: nothing older may ever be given it."""
    old = spec.passt and connection.getLibVersion() < 9_001_000
    with pytest.raises(DriverError, match="passt") if old else nullcontext(), translated("validating"):
        yield


@pytest.mark.parametrize("name", SPECS)
def test_a_domain_is_as_committed(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"libvirt/domain-{name}.xml", domain_xml(SPECS[name]))


@pytest.mark.parametrize("name", SPECS)
def test_libvirts_schema_takes_a_domain(name: str) -> None:
    with connect("test:///default") as connection, refused_if_unknown(connection, SPECS[name]):
        domain = connection.defineXMLFlags(domain_xml(SPECS[name]), libvirt().VIR_DOMAIN_DEFINE_VALIDATE)
        domain.undefine()


def test_the_schema_is_really_asked() -> None:
    xml = domain_xml(PLAIN).replace("<vcpu>2</vcpu>", "<vcpus>2</vcpus>")

    with connect("test:///default") as connection, pytest.raises(libvirt().libvirtError, match="schema"):
        connection.defineXMLFlags(xml, libvirt().VIR_DOMAIN_DEFINE_VALIDATE)


def test_values_arrive_whole_whatever_characters_they_have() -> None:
    strange = "/srv/'\"&<>\n\té.qcow2"
    root = ET.fromstring(domain_xml(changed(disk=strange, mounts=MOUNTS, shared="9p")))

    assert root.find("devices/disk/source").get("file") == strange  # type: ignore[union-attr]
    assert [s.get("dir") for s in root.findall("devices/filesystem/source")] == [m.source for m in MOUNTS]


def test_network_pool_and_volumes_are_as_committed(golden: Callable[[str, str], None]) -> None:
    subnet = IPv4Network("192.168.122.0/24")
    network = render(
        "libvirt/network.xml.j2", name="default", gateway=subnet[1], netmask=subnet.netmask, first=subnet[2],
        last=subnet[-2],
    )  # fmt: skip
    overlay = {"backing_path": PLAIN.base, "backing_format": "qcow2"}
    volume = {"name": NODE1.disk, "capacity": 20 * GIB, "format": "qcow2", "mode": "0600"}
    golden("libvirt/network.xml", network)
    golden("libvirt/pool.xml", render("libvirt/pool.xml.j2", name="default", path=POOL))
    golden("libvirt/volume-disk.xml", render("libvirt/volume.xml.j2", **volume, **overlay))


def test_libvirt_takes_what_networks_pools_and_volumes_are_made_of() -> None:
    texts = {name: (Path(__file__).parent / f"libvirt/{name}.xml").read_text() for name in ("network", "pool")}
    with connect("test:///default") as connection, translated("validating"):
        pool = connection.storagePoolDefineXML(texts["pool"].replace("default", "other"), 0)
        network = connection.networkDefineXML(texts["network"].replace("<name>default", "<name>other"))
        try:
            pool.create()
            volume = pool.createXML((Path(__file__).parent / "libvirt/volume-disk.xml").read_text(), 0)
            assert volume.info()[1] == 20 * GIB
        finally:
            network.undefine()
            pool.destroy()
            pool.undefine()
