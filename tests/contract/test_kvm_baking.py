"""Keeping a disk as an image, on a real libvirt: the whole disk, by streams alone, or nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.libvirt_objects import (
    MIB,
    URI,
    own_pool,
    qcow2_image,
    removed_at_the_end,
    require_libvirt,
    vm_of,
)
from lab.libvirtd import running
from pymachine.driver import NOBODY, Baked
from pymachine.errors import DriverError, PymachineError
from pymachine_kvm.bake import download, keep
from pymachine_kvm.base_images import ensure_base
from pymachine_kvm.handle import Vm
from pymachine_kvm.images.cache import Shelf
from pymachine_kvm.images.image import Image
from pymachine_kvm.images.pull import baked_origin
from pymachine_kvm.libvirt_api import connect
from pymachine_kvm.ownership import mark
from pymachine_kvm.remove import remove
from pymachine_kvm.storage import find_volume, make_disk

BAKED = Baked("img-docker", "26.1.5", "ID=debian\n")


@dataclass
class Sealed:
    """A machine that is off, on a disk of 96 MiB that begins with an image of 64."""

    connection: Any
    pool: Any
    vm: Vm
    image: Image
    shelf: Shelf

    def keep(self) -> None:
        keep(self.connection, self.vm, BAKED, NOBODY)


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sealed]:
    require_libvirt()
    monkeypatch.setenv("PYMACHINE_IMAGES", str(tmp_path / "shelf"))
    image = qcow2_image(tmp_path, 64 * MIB, 8 * MIB)
    with running(), connect(URI) as connection, own_pool(connection) as pool:
        vm = vm_of("default", pool.name())
        vm = vm.with_(base=ensure_base(connection, pool, image, lambda text: None))
        path = make_disk(pool, vm, 96 * MIB)
        with removed_at_the_end(connection, vm):
            connection.defineXML(
                f"<domain type='qemu'><name>{vm.name}</name><uuid>{vm.uuid}</uuid><metadata>{mark(vm)}</metadata>"
                "<memory unit='MiB'>64</memory><os><type>hvm</type></os><devices><disk type='file' device='disk'>"
                f"<driver name='qemu' type='qcow2'/><source file='{path}'/><target dev='vda'/></disk></devices>"
                "</domain>"
            )
            yield Sealed(connection, pool, vm, image, Shelf(tmp_path / "shelf"))


def test_the_image_is_the_whole_disk_with_all_that_is_known_of_it(sealed: Sealed, tmp_path: Path) -> None:
    sealed.keep()
    kept = sealed.shelf.find("img-docker")
    assert kept is not None
    assert (kept.engine, kept.os_release, kept.arch) == ("26.1.5", "ID=debian\n", "x86_64")
    assert (kept.format, kept.virtual_size) == ("qcow2", 96 * MIB)
    assert kept.origin == baked_origin(sealed.image.digest)
    raw = tmp_path / "raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(kept.path), str(raw)], check=True)
    assert raw.read_bytes() == (tmp_path / "content").read_bytes() + bytes(32 * MIB)


def test_keeping_again_takes_the_place_of_what_was_kept(sealed: Sealed) -> None:
    sealed.keep()
    sealed.keep()
    assert [image.name for image in sealed.shelf.list()] == ["img-docker"]


def test_nothing_stays_of_the_copy_when_its_machine_is_removed(sealed: Sealed) -> None:
    sealed.keep()
    remove(sealed.connection, sealed.vm)
    sealed.pool.refresh()
    assert [name for name in sealed.pool.listVolumes() if sealed.vm.name in name] == []


def test_a_shelf_that_cannot_be_written_gets_no_half_image(sealed: Sealed) -> None:
    sealed.shelf.folder.mkdir()
    (sealed.shelf.folder / "img-docker.part").mkdir()  # root may write everything but a folder
    with pytest.raises(PymachineError):
        sealed.keep()
    assert sealed.shelf.find("img-docker") is None


def test_a_full_disk_ends_the_download_and_leaves_the_connection_whole(sealed: Sealed) -> None:
    with pytest.raises(OSError, match="No space left"):
        download(sealed.connection, find_volume(sealed.pool, sealed.vm.base), Path("/dev/full"))
    assert sealed.connection.isAlive()


def test_a_volume_that_is_gone_is_an_error_of_the_drivers(sealed: Sealed, tmp_path: Path) -> None:
    volume = find_volume(sealed.pool, sealed.vm.disk)
    volume.delete(0)
    with pytest.raises(DriverError, match="downloading volume"):
        download(sealed.connection, volume, tmp_path / "file")
