"""Base images in a pool: uploaded once, shared by the machines of an image, removed only if no machine uses one.

A base is complete when its mark exists beside it: an empty volume that is created last. Volumes cannot be renamed,
and nothing else distinguishes a complete file from an interrupted upload.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import PurePath

from pymachine.errors import CheckFailed, DriverError
from pymachine_kvm.definitions import definitions
from pymachine_kvm.images.image import Image
from pymachine_kvm.libvirt_api import OPERATION_INVALID, code_of, translated
from pymachine_kvm.libvirt_types import Connection, StoragePool
from pymachine_kvm.locks import exclusive
from pymachine_kvm.storage import (
    backing_path,
    find_volume,
    make_volume,
    mebibytes,
    refresh,
    remove_volume,
    require_room,
)
from pymachine_kvm.upload import pieces_of_image, upload

PREFIX = "pymachine-base-"
MARK = ".ok"
PATIENCE = 3600.0  # seconds for another create's upload of the same image
_READABLE = "0644"  # every machine's QEMU reads it; images hold no secrets
_STEP = 10  # percent between two lines of progress
_ROOM_FOR_MACHINE = 64 << 20  # seed, and what a disk takes before anything is written to it

Progress = Callable[[str], None]


def base_name(image: Image) -> str:
    """Return the name of the volume that keeps the image."""
    return f"{PREFIX}{image.digest[:16]}.{image.format}"


def base_names(digest: str) -> tuple[str, ...]:
    """Return every name that an image with this SHA-256 may have as a base."""
    return tuple(f"{PREFIX}{digest[:16]}.{format}" for format in ("qcow2", "raw"))


def digest_in(name: str) -> str:
    """Return the beginning of the SHA-256 of the image that a base holds, by its name."""
    return name.removeprefix(PREFIX).partition(".")[0]


def base_format(name: str) -> str:
    """Return the format of a base by its name: ``qcow2`` or ``raw``."""
    return name.rpartition(".")[2]


def has_base(pool: StoragePool, image: Image) -> bool:
    """Whether the pool has the complete image."""
    name = base_name(image)
    return find_volume(pool, name) is not None and find_volume(pool, name + MARK) is not None


def ensure_base(connection: Connection, pool: StoragePool, image: Image, progress: Progress) -> str:
    """Return the name of the image's base; upload it if the pool does not have it. Repeatable.

    Raises ``CheckFailed`` before anything is made if the pool has too little space, ``DriverError`` if it fills up
    during the upload or the image's file is no longer what was verified.
    """
    name = base_name(image)

    def waiting() -> None:
        progress(f"waiting for another create that uploads {image.name}")

    with exclusive(connection, f"base {pool.name()} {name}", deadline=PATIENCE, waiting=waiting):
        if has_base(pool, image):
            progress(f"image {image.name} is in pool {pool.name()} already: nothing to copy")
        else:
            _make_base(connection, pool, image, progress)
    return name


def base_users(connection: Connection, pool: StoragePool, name: str) -> tuple[str, ...]:
    """Return the users of a base: names of machines, and of volumes that belong to no machine."""
    volume = find_volume(pool, name)
    if volume is None:
        return ()
    with translated(f"looking at volume {name!r}"):
        base = volume.path()
    volumes = {path for path, below in _backings(connection) if below == base}
    machines = {user: paths & (volumes | {base}) for user, paths in _disks_of_domains(connection)}
    left = volumes - {path for paths in machines.values() for path in paths}
    return tuple(sorted({user for user, paths in machines.items() if paths} | {PurePath(path).name for path in left}))


def drop_base(connection: Connection, pool: StoragePool, name: str) -> bool:
    """Remove a base and its mark; False if there was none. Raises ``CheckFailed`` while it is in use."""
    with exclusive(connection, f"base {pool.name()} {name}", deadline=PATIENCE):
        refresh(pool)
        users = base_users(connection, pool, name)
        if users:
            raise CheckFailed(
                f"volume {name!r} of pool {pool.name()!r} is in use by {', '.join(users)}", hint="remove these first"
            )
        remove_volume(pool, name + MARK)
        return remove_volume(pool, name)


def _make_base(connection: Connection, pool: StoragePool, image: Image, progress: Progress) -> None:
    name = base_name(image)
    if base_users(connection, pool, name):  # machines boot from it: it is whole, only its mark was removed
        make_volume(pool, name + MARK, 0)
        return
    remove_volume(pool, name + MARK)
    _remove_half(pool, name)
    require_room(pool, taken_up(image) + _ROOM_FOR_MACHINE, f"image {image.name}")
    _fill(connection, pool, image, progress)
    make_volume(pool, name + MARK, 0)


def taken_up(image: Image) -> int:
    """Return the bytes that the file uses; sparse areas are neither uploaded nor stored."""
    try:
        return min(image.size, image.path.stat().st_blocks * 512)
    except OSError:
        return image.size


def _remove_half(pool: StoragePool, name: str) -> None:
    """Remove what a create left that was cut off. libvirt refuses where one of another host still uploads it."""
    try:
        remove_volume(pool, name)
    except DriverError as error:
        if code_of(error) != OPERATION_INVALID:
            raise
        raise DriverError(
            f"volume {name!r} is being uploaded from another host", hint="run the same command again when it is done"
        ) from error


def _fill(connection: Connection, pool: StoragePool, image: Image, progress: Progress) -> None:
    name = base_name(image)
    volume = make_volume(pool, name, image.virtual_size, format=image.format, mode=_READABLE)
    told = _Told(image, progress)
    try:
        upload(connection, volume, pieces_of_image(image, told), size=image.size)
    except BaseException:
        _try_to_remove(pool, name)
        raise
    refresh(pool)
    progress(f"uploaded {image.name}: {mebibytes(told.travelled)} in {told.seconds:.1f} s")


def _try_to_remove(pool: StoragePool, name: str) -> None:
    """Give back the space of a failed upload at once; the failure itself is what is reported."""
    with suppress(DriverError):
        remove_volume(pool, name)


class _Told:
    """Says how far an upload is, every few percent."""

    def __init__(self, image: Image, progress: Progress) -> None:
        self._image, self._progress, self._next = image, progress, _STEP
        self._start = time.monotonic()
        self.travelled = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def __call__(self, done: int, travelled: int) -> None:
        self.travelled = travelled
        percent = 100 * done // max(self._image.size, 1)
        if percent >= self._next:
            self._next = percent + _STEP
            self._progress(f"uploading {self._image.name}: {percent} % of {mebibytes(self._image.size)}")


def _backings(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield the path of each volume in a running pool, and of what it stands on."""
    with translated("looking at the storage pools"):
        pools = [pool for pool in connection.listAllStoragePools() if pool.isActive()]
        volumes = [volume for pool in pools for volume in pool.listAllVolumes()]
    for volume in volumes:
        with suppress(DriverError), translated("looking at a volume"):  # one may be removed meanwhile
            yield volume.path(), backing_path(volume)


def _disks_of_domains(connection: Connection) -> Iterator[tuple[str, set[str]]]:
    """Yield each domain's name, and the path of every file that its disks are made of."""
    for root in definitions(connection):
        sources: list[ET.Element] = root.findall("devices/disk//source")
        yield root.findtext("name") or "", {source.get("file", "") for source in sources}
