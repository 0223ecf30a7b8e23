"""Looking an image up finds what a create would begin with, and fetches nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pymachine.driver import Request
from pymachine.errors import CheckFailed, UsageFault
from pymachine_kvm.driver import KvmDriver
from pymachine_kvm.images.cache import Shelf
from pymachine_kvm.images.image import Image, ImageFacts
from pymachine_kvm.images.pull import baked_name, baked_origin, look_up, resolve
from pymachine_kvm.images.qcow2 import MAGIC
from pymachine_kvm.options import KvmOptions
from unit.kvm.images.test_cache import DISK, put


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf", {})


def both(shelf: Shelf, reference: str, arch: str = "x86_64") -> Image:
    """The image that is looked up, which is the one that a create resolves to."""
    found = look_up(shelf, reference, arch=arch)
    assert found is not None
    assert found == resolve(shelf, reference, arch=arch)
    return found


def test_an_alias_stands_for_the_image_that_was_built_for_it(shelf: Shelf) -> None:
    made = put(shelf, "debian-13-docker", known=ImageFacts(engine="26.1.5"))
    assert both(shelf, "debian-13") == made


def test_an_alias_stands_for_the_image_of_the_machines_architecture(shelf: Shelf) -> None:
    put(shelf, "debian-13")
    arm = put(shelf, "debian-13-aarch64", known=ImageFacts(arch="aarch64"))
    assert both(shelf, "debian-13-aarch64", arch="aarch64") == arm


def test_what_was_baked_stands_in_for_its_image(shelf: Shelf) -> None:
    plain = put(shelf, "own")
    baked = put(shelf, baked_name(plain), known=ImageFacts(engine="26.1.5", origin=baked_origin(plain.digest)))
    assert both(shelf, "own") == baked


def test_what_has_to_be_fetched_is_not_there_yet(shelf: Shelf) -> None:
    for reference in ("debian-13", "al2023", "https://images.example/own.qcow2#sha256=" + "a" * 64):
        assert look_up(shelf, reference, arch="x86_64") is None
    assert not shelf.folder.exists()


def test_a_file_is_described_as_it_is_and_copied_by_nobody(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "own.img"
    file.write_bytes(DISK)
    found = look_up(shelf, str(file), arch="aarch64")
    assert found is not None
    assert (found.format, found.size, found.virtual_size, found.arch) == ("raw", len(DISK), len(DISK), "aarch64")
    assert not shelf.folder.exists()
    kept = resolve(shelf, str(file), arch="aarch64")
    assert look_up(shelf, str(file), arch="aarch64") == kept


def test_a_word_that_names_nothing_and_a_file_that_is_none_are_refused(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no disk")
    with pytest.raises(UsageFault):
        look_up(shelf, "debian-99", arch="x86_64")
    for path in (tmp_path / "text", tmp_path / "nowhere"):
        with pytest.raises(CheckFailed):
            look_up(shelf, str(path), arch="x86_64")


def test_a_create_is_refused_for_what_its_alias_stands_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default image is an alias: its size and architecture are judged before anything is made."""
    monkeypatch.setenv("PYMACHINE_IMAGES", str(tmp_path))
    with Shelf(tmp_path).place("debian-13-docker") as place:
        header = struct.pack(">4sIQIIQI", MAGIC, 3, 0, 0, 16, 3 << 30, 0)
        place.part.write_bytes(header.ljust(3 << 16, b"\0"))
        place.settle(ImageFacts(engine="26.1.5"), "the test's disk")
    options = KvmOptions(kvm_uri="test:///default", kvm_disk="1G", kvm_arch="x86_64")
    with pytest.raises(CheckFailed) as refused:
        KvmDriver().check(Request("node1", "0" * 32, options, 2376))
    assert "--kvm-disk 3G" in f"{refused.value.message} {refused.value.hint}"
