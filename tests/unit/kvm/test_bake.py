"""What a create bakes, if anything, and which image a word stands for once it was baked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pymachine.driver import Baking, Request
from pymachine.errors import CheckFailed
from pymachine.sizes import MIB
from pymachine_kvm import KvmDriver
from pymachine_kvm.bake import baking_of
from pymachine_kvm.base_images import base_name, digest_in
from pymachine_kvm.images.cache import Shelf
from pymachine_kvm.images.image import Image, ImageFacts
from pymachine_kvm.images.pull import baked_origin, import_file, resolve
from pymachine_kvm.libvirt_api import connect
from pymachine_kvm.options import KvmOptions, read_options

DISK = bytes(510) + b"\x55\xaa" + bytes(MIB - 512)


@dataclass
class Kitchen:
    """A shelf, and creates of images on it."""

    connection: Any
    shelf: Shelf

    def put(self, name: str, known: ImageFacts, content: bytes = DISK) -> Image:
        with self.shelf.place(name, reuse=True) as place:
            place.part.write_bytes(content)
            return place.settle(known, "the test's disk")

    def baked(self, plain: Image, engine: str = "26.1.5") -> Image:
        return self.put(f"{plain.name}-docker", ImageFacts(engine=engine, origin=baked_origin(plain.digest)))

    def baking(self, **options: Any) -> Baking | None:
        given = KvmOptions(kvm_uri="test:///default", kvm_arch="x86_64", **{"kvm_image": "plain", **options})
        request = Request("node1", "0" * 32, given, 2376)
        return baking_of(self.connection, request, read_options(given))

    def resolve(self, name: str, arch: str = "x86_64") -> str:
        return resolve(self.shelf, name, arch=arch).name


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kitchen]:
    monkeypatch.setenv("PYMACHINE_IMAGES", str(tmp_path / "shelf"))
    with connect("test:///default") as connection:
        yield Kitchen(connection, Shelf(tmp_path / "shelf"))


def test_the_machine_for_it_has_nothing_of_the_users_and_a_small_disk(kitchen: Kitchen, tmp_path: Path) -> None:
    kitchen.put("plain", ImageFacts())
    (tmp_path / "theirs").write_text("#cloud-config\npackages: [htop]\n")
    baking = kitchen.baking(
        kvm_bake=True,
        kvm_user_data=str(tmp_path / "theirs"),
        kvm_mount=(f"{tmp_path}:/srv",),
        kvm_autostart=True,
        kvm_cpus=3,
    )
    assert baking is not None
    assert baking.image == "plain-docker"
    assert baking.options == KvmOptions(
        kvm_uri="test:///default", kvm_arch="x86_64", kvm_image="plain", kvm_cpus=3, kvm_disk="2049M"
    )


def test_its_disk_is_never_larger_than_the_users(kitchen: Kitchen) -> None:
    kitchen.put("plain", ImageFacts())
    baking = kitchen.baking(kvm_disk="1500M")
    assert baking is not None
    assert baking.options.kvm_disk == "1500M"


def test_who_does_not_ask_gets_nothing_baked_and_libvirt_is_not_asked() -> None:
    options = KvmOptions(kvm_uri="qemu+ssh://nobody.invalid/system")
    assert KvmDriver().baking(Request("node1", "0" * 32, options, 2376)) is None


def test_an_image_with_an_engine_is_not_baked(kitchen: Kitchen) -> None:
    kitchen.put("plain", ImageFacts(engine="26.1.5"))
    assert kitchen.baking() is None


def test_what_was_baked_is_not_baked_again_and_its_image_is_taken_from_then_on(kitchen: Kitchen) -> None:
    plain = kitchen.put("plain", ImageFacts())
    assert kitchen.resolve("plain") == "plain"
    kitchen.baked(plain)
    assert kitchen.baking() is None
    assert kitchen.resolve("plain") == kitchen.resolve("plain-docker") == "plain-docker"


def test_the_image_of_a_file_is_baked_too(kitchen: Kitchen, tmp_path: Path) -> None:
    file = tmp_path / "disk.raw"
    file.write_bytes(DISK)
    name = kitchen.resolve(str(file))
    plain = kitchen.shelf.find(name)
    assert plain is not None
    kitchen.baked(plain)
    assert kitchen.resolve(str(file)) == f"{name}-docker"


def test_an_image_that_was_renewed_is_baked_anew(kitchen: Kitchen) -> None:
    kitchen.baked(kitchen.put("plain", ImageFacts()))
    kitchen.put("plain", ImageFacts(), DISK + bytes(512))
    assert kitchen.resolve("plain") == "plain"
    baking = kitchen.baking()
    assert baking is not None
    assert baking.image == "plain-docker"


def test_an_image_of_that_name_that_was_not_baked_is_neither_taken_nor_replaced(
    kitchen: Kitchen, tmp_path: Path
) -> None:
    kitchen.put("plain", ImageFacts())
    file = tmp_path / "disk.raw"
    file.write_bytes(DISK)
    import_file(kitchen.shelf, file, "plain-docker", arch="x86_64", digest=None)
    assert kitchen.resolve("plain") == "plain"
    with pytest.raises(CheckFailed, match="that name"):
        kitchen.baking()


def test_the_name_of_a_base_tells_which_image_it_holds(kitchen: Kitchen) -> None:
    plain = kitchen.put("plain", ImageFacts())
    assert baked_origin(digest_in(base_name(plain))) == baked_origin(plain.digest)
