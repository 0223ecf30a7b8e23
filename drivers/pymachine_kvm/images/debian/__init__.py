"""Builds an image from Debian's packages, with the engine inside: mmdebstrap and a disk written without mounts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pymachine_kvm.images.cache import Shelf
from pymachine_kvm.images.debian.disk import MIB, PARTITION_START, SECTOR, write_boot
from pymachine_kvm.images.debian.programs import Progress, require, run
from pymachine_kvm.images.debian.recipe import Recipe
from pymachine_kvm.images.debian.tree import Workshop, boot_files, engine_version, grow, os_release, seal, workshop
from pymachine_kvm.images.image import Image, ImageFacts

# What a build runs, and Debian's package of each.
PROGRAMS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "qemu-img": "qemu-utils"}
# What an account other than root needs to become root in a namespace of its own.
FOR_OTHERS = {"newuidmap": "uidmap"}
DISK_DEADLINE = 600.0


def build(recipe: Recipe, shelf: Shelf, name: str, environ: Mapping[str, str], progress: Progress) -> Image:
    """Build an image and add it to the cache; ``progress`` receives each step.

    Raises ``CheckFailed`` if a program or package source is missing or the name is in use, ``PymachineError`` if a
    step fails. Leaves nothing behind but the image.
    """
    require(PROGRAMS if os.geteuid() == 0 else {**PROGRAMS, **FOR_OTHERS}, environ)
    with shelf.place(name, progress) as place, workshop(environ) as shop:
        grow(shop, recipe, environ, progress)
        seal(shop)
        progress("writing the file system")
        _write_disk(shop, recipe)
        progress("writing the image")
        _convert(shop.disk, place.part)
        progress("storing the image")
        known = ImageFacts("x86_64", os_release(shop.tree), engine_version(shop.tree), _origin(recipe))
        return place.settle(known, f"the image built from {recipe.release.name}")


def _write_disk(shop: Workshop, recipe: Recipe) -> None:
    with shop.disk.open("wb") as file:
        file.truncate(recipe.size)
    if shop.root:
        # The root of the user namespace is not the account that made the file.
        shop.disk.chmod(0o666)
    blocks = (recipe.size - PARTITION_START * SECTOR) // 4096
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-U", recipe.uuid, "-L", "root"]
    # All tables are written now: a fresh machine would do it in its first minutes, beside everything else.
    words += ["-E", f"offset={MIB},lazy_itable_init=0,lazy_journal_init=0"]
    run([*shop.root, *words, "-d", shop.tree, shop.disk, str(blocks)], deadline=DISK_DEADLINE)
    boot, core = boot_files(shop.tree)
    write_boot(shop.disk, boot, core, recipe.disk_number)


def _convert(disk: Path, target: Path) -> None:
    # Not compressed: the overlays of every machine read through it.
    run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", disk, target], deadline=DISK_DEADLINE)


def _origin(recipe: Recipe) -> str:
    return (
        f"built here: {recipe.release.name}{' with engine' if recipe.with_engine else ''}, by {os.uname().nodename}"
    )
