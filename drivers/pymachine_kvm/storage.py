"""Pools and volumes, through libvirt's API alone: that works on a daemon of another host just as well.

Only pools that are folders will do: a disk is a qcow2 file on top of a base image in the same pool.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymachine.errors import CheckFailed, DriverError
from pymachine.templates import render
from pymachine.user_path import user_path
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import NO_VOLUME, code_of, found, is_local, is_session, libvirt, translated
from pymachine_kvm.libvirt_types import Connection, StoragePool, StorageVolume
from pymachine_kvm.locks import exclusive
from pymachine_kvm.upload import pieces_of, upload

DEFAULT = "default"
SYSTEM_FOLDER = "/var/lib/libvirt/images"
_FOLDERS = ("dir", "fs", "netfs")
_NO_VOLUME = frozenset({NO_VOLUME})
_PRIVATE = "0600"

Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Backing:
    """What a volume stands on: a path on the daemon's host, and its format."""

    path: str
    format: str


def ensure_pool(connection: Connection, name: str, notice: Notice) -> Any:
    """Return the pool, started (now and at every boot of its host) when it was not; ``default`` is made if missing.

    Raises ``CheckFailed`` for another one that is missing and for one that is not a folder.
    """
    with exclusive(connection, f"pool {name}"):
        pool = find_pool(connection, name) or _make_pool(connection, name, notice)
        _start_pool(pool, name, notice)
    _refuse_other_kinds(pool, name)
    refresh(pool)
    return pool


def find_pool(connection: Connection, name: str) -> Any:
    """Return libvirt's pool, None where there is none of that name."""
    with translated(f"looking for pool {name!r}"):
        return found(lambda: connection.storagePoolLookupByName(name))


def refresh(pool: StoragePool) -> None:
    """Make libvirt look at the pool's folder again; left out while somebody uploads, or where we may only read."""
    try:
        pool.refresh(0)
    except libvirt().libvirtError:
        return


def room(pool: StoragePool) -> int:
    """Return how many bytes are free on the file system under the pool."""
    refresh(pool)
    with translated(f"looking at pool {pool.name()!r}"):
        return int(pool.info()[3])


def require_room(pool: StoragePool, size: int, what: str) -> None:
    """Raise ``CheckFailed`` unless ``size`` bytes are free for ``what`` ("the image debian-13")."""
    free = room(pool)
    if free < size:
        raise CheckFailed(
            f"pool {pool.name()!r} has {mebibytes(free)} left, {what} needs {mebibytes(size)}",
            hint=f"free space in {folder_of(pool)}, or choose another pool with --kvm-pool",
        )


def mebibytes(size: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{size / (1 << 20):,.0f} MiB"


def folder_of(pool: StoragePool) -> str:
    """Return the path of the pool's folder on the daemon's host."""
    with translated(f"looking at pool {pool.name()!r}"):
        return ET.fromstring(pool.XMLDesc(0)).findtext("target/path") or ""


def find_volume(pool: StoragePool, name: str) -> Any:
    """Return libvirt's volume, None where there is none of that name."""
    with translated(f"looking for volume {name!r} in pool {pool.name()!r}"):
        return found(lambda: pool.storageVolLookupByName(name), _NO_VOLUME)  # a pool that is gone is another matter


def volume_path(pool: StoragePool, name: str) -> str:
    """Return the path of a volume on the daemon's host. Raises ``DriverError`` where there is none."""
    with translated(f"volume {name!r} in pool {pool.name()!r}"):
        return str(pool.storageVolLookupByName(name).path())


def make_volume(
    pool: StoragePool,
    name: str,
    capacity: int,
    *,
    format: str = "raw",
    mode: str = _PRIVATE,
    backing: Backing | None = None,
) -> Any:
    """Make an empty volume; ``capacity`` in bytes, taken up only as it is written. Raises ``DriverError``."""
    xml = volume_xml(name, capacity, format=format, mode=mode, backing=backing)
    with translated(f"making volume {name!r} in pool {pool.name()!r}"):
        return pool.createXML(xml, 0)


def volume_xml(
    name: str, capacity: int, *, format: str = "raw", mode: str = _PRIVATE, backing: Backing | None = None
) -> str:
    """Return the XML of a volume that is yet to be made."""
    return render(
        "libvirt/volume.xml.j2",
        name=name,
        capacity=capacity,
        format=format,
        mode=mode,
        backing_path=backing.path if backing else "",
        backing_format=backing.format if backing else "",
    )


def make_disk(pool: StoragePool, vm: Vm, size: int) -> str:
    """Make the machine's disk of ``size`` bytes on top of its base, and return its path. Repeatable.

    A disk that is there already stays if it stands on this base: it may hold a machine that has booted. Raises
    ``CheckFailed`` for a size below the base's, since the image's own file system would be cut off.
    """
    base = _backing(pool, vm.base, size)
    volume = find_volume(pool, vm.disk)
    if volume is not None and backing_path(volume) != base.path:
        remove_volume(pool, vm.disk)
        volume = None
    if volume is None:
        make_volume(pool, vm.disk, size, format="qcow2", backing=base)
    return volume_path(pool, vm.disk)


def backing_path(volume: StorageVolume) -> str:
    """Return the path of what a volume stands on, empty for nothing."""
    with translated(f"looking at volume {volume.name()!r}"):
        return ET.fromstring(volume.XMLDesc(0)).findtext("backingStore/path") or ""


def put_seed(connection: Connection, pool: StoragePool, name: str, content: bytes) -> str:
    """Make or replace a volume that holds exactly ``content``, readable by its owner alone; return its path."""
    remove_volume(pool, name)
    volume = make_volume(pool, name, len(content))
    upload(connection, volume, pieces_of(content), size=len(content))
    return volume_path(pool, name)


def remove_volume(pool: StoragePool, name: str) -> bool:
    """Remove a volume; False where it was gone already."""
    volume = find_volume(pool, name)
    if volume is None:
        return False
    try:
        with translated(f"removing volume {name!r} of pool {pool.name()!r}"):
            volume.delete(0)
    except DriverError as error:
        if code_of(error) != NO_VOLUME:
            raise
    return True


def _make_pool(connection: Connection, name: str, notice: Notice) -> Any:
    if name != DEFAULT:
        with translated("listing pools"):
            names = ", ".join(sorted(pool.name() for pool in connection.listAllStoragePools())) or "none"
        raise CheckFailed(
            f"no storage pool {name!r} in libvirt; existing pools: {names}",
            hint=f"choose one with --kvm-pool, or make it: `virsh -c {connection.getURI()} pool-create-as"
            f" {name} dir --target FOLDER`",
        )
    path = _default_folder(connection)
    with translated(f"making pool {name!r} at {path}"):
        pool = connection.storagePoolDefineXML(render("libvirt/pool.xml.j2", name=name, path=path), 0)
        pool.build(0)
    notice(f"made storage pool {name!r} at {path}")
    return pool


def _backing(pool: StoragePool, name: str, size: int) -> Backing:
    volume = find_volume(pool, name)
    if volume is None:
        raise DriverError(
            f"base image {name!r} is gone from pool {pool.name()!r}", hint="run the command again to upload it"
        )
    with translated(f"looking at volume {name!r}"):
        path, least = volume.path(), volume.info()[1]
    if size < least:
        raise CheckFailed(
            f"a disk of {mebibytes(size)} is too small: the image is a disk of {mebibytes(least)}",
            hint=f"--kvm-disk {-(-least // (1 << 30))}G",
        )
    return Backing(path, name.rpartition(".")[2])


def _default_folder(connection: Connection) -> str:
    """Return where libvirt itself keeps images: its security profiles allow QEMU to read there."""
    if not is_session(connection):
        return SYSTEM_FOLDER
    if not is_local(connection):
        raise CheckFailed(
            f"{connection.getURI()} has no storage pool, and only that host knows where to create one",
            hint="`virsh pool-define-as default dir --target FOLDER` there",
        )
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return str(user_path(data) / "libvirt/images")


def _start_pool(pool: StoragePool, name: str, notice: Notice) -> None:
    with translated(f"starting pool {name!r}"):
        if not pool.isActive():
            pool.create(0)
            notice(f"started storage pool {name!r}")
        if pool.isPersistent() and not pool.autostart():
            pool.setAutostart(1)


def _refuse_other_kinds(pool: StoragePool, name: str) -> None:
    with translated(f"looking at pool {name!r}"):
        kind = ET.fromstring(pool.XMLDesc(0)).get("type", "")
    if kind not in _FOLDERS:
        raise CheckFailed(
            f"storage pool {name!r} is of type {kind}, disks on top of an image need a folder",
            hint="choose a pool of type dir with --kvm-pool",
        )
