"""What a file says it is: a disk to boot from, or something that must not be taken for one."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pymachine.errors import CheckFailed
from pymachine_kvm.images.qcow2 import DiskFormat, shape_of

CLUSTER_BITS = 16
GIB = 1 << 30


def qcow2(*, version: int = 3, backing: int = 0, size: int = GIB, encryption: int = 0, features: int = 0) -> bytes:
    """A qcow2 file as far as its header goes, with room for its first tables."""
    head = struct.pack(">4sIQIIQI", b"QFI\xfb", version, backing, 8 if backing else 0, CLUSTER_BITS, size, encryption)
    whole = bytearray(head.ljust(72, b"\0") + struct.pack(">Q", features))
    return bytes(whole.ljust(4 << CLUSTER_BITS, b"\0"))


def raw(*, size: int = 4 << 20, partition_end: int = 4 << 20, kind: int = 0x83) -> bytes:
    """A raw disk with a boot sector and one partition."""
    disk = bytearray(size)
    disk[450] = kind
    struct.pack_into("<II", disk, 454, 2048, partition_end // 512 - 2048)
    disk[510:512] = b"\x55\xaa"
    return bytes(disk)


def shape(tmp_path: Path, content: bytes) -> DiskFormat:
    path = tmp_path / "disk.img"
    path.write_bytes(content)
    return shape_of(path)


@pytest.mark.parametrize("version", [2, 3])
def test_a_qcow2_tells_the_size_of_its_disk(tmp_path: Path, version: int) -> None:
    assert shape(tmp_path, qcow2(version=version, size=5 * GIB)) == DiskFormat("qcow2", 5 * GIB)


def test_a_raw_disk_is_as_large_as_its_file(tmp_path: Path) -> None:
    assert shape(tmp_path, raw()) == DiskFormat("raw", 4 << 20)


def test_the_entry_that_stands_in_for_a_gpt_may_claim_more_than_there_is(tmp_path: Path) -> None:
    assert shape(tmp_path, raw(partition_end=1 << 40, kind=0xEE)).format == "raw"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (qcow2(backing=4096), " overlay"),
        (qcow2(encryption=2), "is encrypted"),
        (qcow2(features=1), " closed cleanly"),
        (qcow2(features=2), "corrupt"),
        (qcow2(features=4), "another file"),
        (qcow2(version=9), "invalid"),
        (qcow2(size=0), "invalid"),
        (qcow2(size=1 << 60), "invalid"),
        (qcow2()[:60], " header"),
        (qcow2()[: 1 << CLUSTER_BITS],  "cut off"),
        (raw(partition_end=8 << 20),  "cut off"),
        (b"", "disk image"),
        (b"<html>proxy login</html>" * 100_000, "disk image"),
        (b"KDMV".ljust(4 << 20, b"\0"), "VMware disk"),
        (b"\xfd7zXZ\0".ljust(4 << 20, b"\0"), " xz"),
        (b"\x1f\x8b\x08".ljust(4 << 20, b"\0"), " gzip"),
    ],
)  # fmt: skip
def test_what_cannot_be_booted_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(CheckFailed, match=reason) as caught:
        shape(tmp_path, content)
    assert caught.value.hint


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="such file"):
        shape_of(tmp_path / "none.img")


def test_a_refusal_names_what_the_user_gave(tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"text")
    with pytest.raises(CheckFailed, match=r"^the download .*disk image"):
        shape_of(tmp_path / "x.part", "the download")
