"""A pool and a network of our own on the real libvirt, with names that no other run has; nothing of them stays."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from patience import LIMIT
from pymachine.templates import render
from pymachine_kvm.handle import Vm, mac_of, volume_names
from pymachine_kvm.images.image import Image
from pymachine_kvm.ipam import free_subnet
from pymachine_kvm.libvirt_api import libvirt
from pymachine_kvm.routes import host_routes, networks

URI = "qemu:///system"
MIB = 1 << 20


def require_libvirt() -> None:
    """Skip where libvirt cannot be had; in CI a skip is a failure."""
    needs = {
        "root": os.geteuid() == 0,
        "libvirtd (package libvirt-daemon-system)": Path("/usr/sbin/libvirtd").exists(),
        "virsh (package libvirt-clients)": shutil.which("virsh") is not None,
        "qemu-img (package qemu-utils)": shutil.which("qemu-img") is not None,
    }
    if missing := [what for what, there in needs.items() if not there]:
        pytest.skip(f"no {', '.join(missing)} here")


def unique(kind: str) -> str:
    return f"pmct-{kind}-{secrets.token_hex(3)}"


def vm_of(network: str, pool: str, name: str | None = None) -> Vm:
    machine = secrets.token_hex(16)
    machine = f"{machine[:12]}4{machine[13:16]}a{machine[17:]}"  # a UUID of version 4
    name = name or unique("vm")
    disk, seed = volume_names(name, machine)
    return Vm(URI, machine, name, pool, disk, seed, mac_of(machine), network=network, virt_type="qemu")


def qcow2_image(folder: Path, size: int, filled: int) -> Image:
    """A real qcow2 image: a disk of ``size`` bytes, the first ``filled`` of them random."""
    raw, path = folder / "content", folder / "image.qcow2"
    raw.write_bytes(os.urandom(filled))
    os.truncate(raw, size)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(path)], check=True)
    return image_of(path, "qcow2", size)


def image_of(path: Path, format: str, virtual_size: int) -> Image:
    content = path.read_bytes()
    return Image("img", path, hashlib.sha256(content).hexdigest(), format, len(content), virtual_size)


@contextmanager
def own_pool(connection: Any, size: int | None = None) -> Iterator[Any]:
    """A pool in a folder that QEMU's account reaches; ``size`` puts it on a file system of so many bytes."""
    folder = Path(tempfile.mkdtemp(prefix="pmct-", dir="/var/tmp"))
    folder.chmod(0o711)
    if size is not None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=711", "pmct", str(folder)], check=True)
    pool = connection.storagePoolCreateXML(render("libvirt/pool.xml.j2", name=unique("pool"), path=folder), 0)
    try:
        yield pool
    finally:
        pool.destroy()
        if size is not None:
            subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(folder)


@contextmanager
def own_network(connection: Any) -> Iterator[Any]:
    """A network that is defined and not started."""
    # A network that is down shows no route yet: workers that run side by side choose from blocks of their own.
    other = "172.16.0.0/12" if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0" else "10.0.0.0/8"
    subnet = free_subnet(networks(host_routes() or ()) | {IPv4Network("192.168.0.0/16"), IPv4Network(other)})
    assert subnet is not None
    name = unique("net")
    xml = render(
        "libvirt/network.xml.j2",
        name=name,
        gateway=subnet[1],
        netmask=subnet.netmask,
        first=subnet[2],
        last=subnet[9],
    )
    network = connection.networkDefineXML(xml)
    try:
        yield network
    finally:
        network = connection.networkLookupByName(name)
        if network.isActive():
            network.destroy()
        network.undefine()


@contextmanager
def removed_at_the_end(connection: Any, vm: Vm) -> Iterator[None]:
    """See that no domain of this machine stays."""
    try:
        yield
    finally:
        with suppress(libvirt().libvirtError):
            connection.lookupByUUIDString(vm.uuid).destroy()
        with suppress(libvirt().libvirtError):
            connection.lookupByUUIDString(vm.uuid).undefine()


@contextmanager
def plugged_in(bridge: str, mac: str) -> Iterator[str]:
    """A network card with this MAC on a bridge, as a machine has one; yields its name on this host."""
    inner, outer = f"pm{secrets.token_hex(3)}", f"pm{secrets.token_hex(3)}"
    ip("link", "add", inner, "type", "veth", "peer", "name", outer)
    try:
        ip("link", "set", inner, "address", mac, "up")
        ip("link", "set", outer, "master", bridge, "up")
        yield inner
    finally:
        ip("link", "del", inner)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=LIMIT)
