"""Bakes an image: the disk of a temporary machine becomes a cached image with the engine inside."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pymachine.driver import Baked, Baking, Listener, Request
from pymachine.errors import CheckFailed
from pymachine.sizes import GIB, MIB
from pymachine_kvm import clone, power, storage, virtualization
from pymachine_kvm.base_images import digest_in
from pymachine_kvm.handle import Vm, origin_name
from pymachine_kvm.images.cache import Shelf, check_name
from pymachine_kvm.images.image import Image, ImageFacts
from pymachine_kvm.images.pull import baked_name, baked_origin, is_baked, resolve
from pymachine_kvm.libvirt_api import translated
from pymachine_kvm.libvirt_types import Connection, StorageVolume
from pymachine_kvm.options import DomainConfig
from pymachine_kvm.upload import CHUNK

ROOM_FOR_ENGINE = 2 * GIB  # packages while they are fetched and unpacked


def baking_of(connection: Connection, request: Request, wanted: DomainConfig) -> Baking | None:
    """Return what to bake for the request; None where its image has an engine, by an earlier baking or its own.

    The machine for it has nothing of the user's: no user-data and no folders. Its disk is small, since no machine
    of the image can have a smaller one. Raises ``CheckFailed`` where the name of the image is taken, ``UsageFault``
    where it would be too long.
    """
    shelf = Shelf.default(os.environ)
    arch = wanted.arch or virtualization.promise_of(connection, None).arch
    image = resolve(shelf, wanted.image, arch=arch, progress=request.progress)
    if image.engine:
        return None
    _refuse_taken(shelf, image)
    disk = min(wanted.disk, image.virtual_size + ROOM_FOR_ENGINE)
    options = replace(
        request.options,
        kvm_bake=False,
        kvm_user_data=None,
        kvm_mount=(),
        kvm_autostart=False,
        kvm_disk=f"{-(-disk // MIB)}M",
    )
    return Baking(baked_name(image), options)


def keep(connection: Connection, vm: Vm, baked: Baked, listener: Listener) -> None:
    """Shut the machine down, and add a copy of its disk to the image cache of this computer.

    A complete copy without a base is made in the pool first and removed with the machine; libvirt then transfers it
    from any host. Raises ``DriverError``, ``CheckFailed`` if the pool has too little space.
    """
    listener.progress("shutting down")
    power.stop(connection, vm, listener)
    pool = storage.ensure_pool(connection, vm.pool, listener.notice)
    copy = origin_name(vm.name, vm.id)
    clone.copy_disk(connection, pool, vm, copy, listener.progress)
    origin = baked_origin(digest_in(vm.base))
    known = ImageFacts(arch=vm.arch, os_release=baked.os_release, engine=baked.engine, origin=origin)
    with Shelf.default(os.environ).place(baked.image, listener.progress, reuse=True) as place:
        listener.progress(f"fetching it as image {baked.image}")
        download(connection, storage.find_volume(pool, copy), place.part)
        place.settle(known, f"the disk of {vm.name}")


def download(connection: Connection, volume: StorageVolume, file: Path) -> None:
    """Download the volume to a new file. Raises ``DriverError``, and ``OSError`` of the file."""
    with translated(f"downloading volume {volume.name()!r}"), file.open("wb") as target:
        stream = connection.newStream(0)
        volume.download(stream, 0, 0, 0)
        try:
            while data := stream.recv(CHUNK):
                target.write(data)
        except OSError:
            stream.abort()
            raise
        stream.finish()


def _refuse_taken(shelf: Shelf, image: Image) -> None:
    """Only what was baked from an older image of the name makes room for what is baked now."""
    name = check_name(baked_name(image))
    taken = shelf.find(name)
    if taken is not None and not is_baked(taken):
        raise CheckFailed(
            f"image {image.name} would be baked as image {name}, but another image has that name",
            hint=f"`--kvm-image {name}` uses that one; or `pymachine image rm {name}` first",
        )
