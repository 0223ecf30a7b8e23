"""Copies a virtual machine's disk for another machine, with what that one takes over from it.

The copy is a base of its own under the new machine's disk, so that the rest is made as usual. It contains the whole
disk without a base and without snapshots, so it does not depend on the source and its image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pymachine.errors import CheckFailed, DriverError
from pymachine_kvm import storage
from pymachine_kvm.base_images import MARK
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import translated
from pymachine_kvm.libvirt_types import Connection, StoragePool
from pymachine_kvm.options import DomainConfig
from pymachine_kvm.status import required


def check_source(connection: Connection, source: Vm) -> None:
    """Raise ``CheckFailed`` for a machine that is on or saved, because its disk alone is incomplete."""
    domain = required(connection, source)
    with translated(f"looking at {source.name}"):
        at_rest = not (domain.isActive() or domain.hasManagedSaveImage())
    if not at_rest:
        raise CheckFailed(
            f"{source.name} is not switched off",
            hint=f"`pymachine stop {source.name}` first: only the disk of a stopped machine can be copied",
        )


def like(connection: Connection, source: Vm, wanted: DomainConfig) -> DomainConfig:
    """Return the options with the place and the sizes of the source; it may have been resized since its create."""
    domain = required(connection, source)
    disk = _disk(storage.find_pool(connection, source.pool), source)
    with translated(f"looking at {source.name}"):
        _, memory, _, cpus, _ = domain.info()
        size = int(disk.info()[1])
    return replace(
        wanted,
        uri=source.uri,
        pool=source.pool,
        cpus=int(cpus),
        memory=int(memory) << 10,
        disk=size,
        user=source.user,
        user_data=None,  # it did its work on the source
    )


def taken_over(vm: Vm, source: Vm, origin: str) -> Vm:
    """Return the machine with what a copy of the source's disk makes of it; ``origin`` is the copy's name."""
    return vm.with_(
        base=origin,
        virt_type=source.virt_type,
        arch=source.arch,
        engine=source.engine,
        os_release=source.os_release,
    )


def copy_disk(
    connection: Connection, pool: StoragePool, source: Vm, origin: str, progress: Callable[[str], None]
) -> None:
    """Copy the source's disk to the volume ``origin``, unless that was done. Takes as long as the copying.

    A copy that was cut off has no mark beside it, and is made again. Raises ``CheckFailed`` where the source is not
    switched off or the pool has no room, ``DriverError``.
    """
    if all(storage.find_volume(pool, name) is not None for name in (origin, origin + MARK)):
        return
    check_source(connection, source)
    disk = _disk(pool, source)
    storage.remove_volume(pool, origin)
    size = _size_of_copy(pool, disk, source)
    storage.require_room(pool, size, f"a copy of {source.name}")
    progress(f"copying the disk of {source.name} ({storage.mebibytes(size)})")
    with translated(f"copying the disk of {source.name}"):
        pool.createXMLFrom(storage.volume_xml(origin, int(disk.info()[1]), format="qcow2"), disk, 0)
    storage.make_volume(pool, origin + MARK, 0)


def _disk(pool: StoragePool | None, source: Vm) -> Any:
    disk = None if pool is None else storage.find_volume(pool, source.disk)
    if disk is None:
        raise DriverError(
            f"the disk of {source.name} is gone", hint=f"`pymachine rm {source.name}` removes what is left"
        )
    return disk


def _size_of_copy(pool: StoragePool, disk: Any, source: Vm) -> int:
    """Return how many bytes the copy takes at most: what the disk holds, and the image under it."""
    base = storage.find_volume(pool, source.base) if source.base else None
    with translated(f"looking at the disk of {source.name}"):
        return sum(int(volume.info()[2]) for volume in (disk, base) if volume is not None)
