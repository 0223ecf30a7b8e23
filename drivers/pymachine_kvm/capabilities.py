"""The capabilities of libvirt and its QEMU, from the domain capabilities."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Literal

from pymachine_kvm.libvirt_api import is_local, is_session, libvirt
from pymachine_kvm.libvirt_types import Connection
from pymachine_kvm.options import Mount

MACHINES = {"x86_64": "q35", "aarch64": "virt"}
# Where programs that serve a virtual device to QEMU are registered (QEMU's docs/interop/vhost-user.json).
_REGISTERED = (Path("/usr/share/qemu/vhost-user"), Path("/etc/qemu/vhost-user"))
_SESSION_VIRTIOFS = 10_000_000  # libvirt 10.0.0 runs virtiofsd for a user; before, it refuses
_READONLY_VIRTIOFS = 11_000_000  # 11.0.0 has it read-only


def choices(connection: Connection, arch: str, virt_type: str, device: str, name: str) -> frozenset[str]:
    """Return the possible values of a device's setting; none if libvirt does not report them."""
    try:
        text = connection.getDomainCapabilities(None, arch, MACHINES[arch], virt_type)
    except libvirt().libvirtError:
        return frozenset()
    found = ET.fromstring(text).findall(f"devices/{device}/enum[@name='{name}']/value")
    return frozenset(value.text or "" for value in found)


def folder_sharing(
    connection: Connection,
    arch: str,
    virt_type: str,
    mounts: tuple[Mount, ...],
    registered: tuple[Path, ...] = _REGISTERED,
) -> Literal["virtiofs", "9p"]:
    """Return how folders of the daemon's host are shown in a machine: one way for all of them.

    virtiofs serves files with their owners and needs virtiofsd; 9p is built into QEMU and serves what QEMU's user
    may read, as that user's. A read-only folder is guarded by the host, so it takes 9p where virtiofs cannot.
    """
    if not mounts or "virtiofs" not in choices(connection, arch, virt_type or "qemu", "filesystem", "driverType"):
        return "9p"
    version = connection.getLibVersion()
    if is_session(connection) and version < _SESSION_VIRTIOFS:
        return "9p"
    if any(mount.read_only for mount in mounts) and version < _READONLY_VIRTIOFS:
        return "9p"
    there = not is_local(connection) or any(any(folder.glob("*virtiofsd*.json")) for folder in registered)
    return "virtiofs" if there else "9p"
