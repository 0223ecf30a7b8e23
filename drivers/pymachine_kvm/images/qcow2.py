"""Reads disk image files: the qcow2 header (QEMU's docs/interop/qcow2.txt) or a partition table."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from pymachine.errors import CheckFailed

MAGIC = b"QFI\xfb"
SECTOR = 512
LEAST_DISK = 1 << 20
LARGEST_DISK = 1 << 46  # 64 TiB: beyond it a header is nonsense rather than a disk
_HEADER = struct.Struct(">4sIQIIQI")  # magic, version, backing offset and length, cluster bits, size, encryption
_FEATURES = struct.Struct(">Q")  # incompatible features of version 3, at byte 72
_DIRTY, _CORRUPT, _EXTERNAL_DATA = 1, 2, 4
# Other kinds of disk image, by their first bytes: each is named instead of being taken for a raw disk.
_OTHERS = {
    b"KDMV": "a VMware disk",
    b"<<< ": "a VirtualBox disk",
    b"vhdx": "a Hyper-V disk",
    b"cone": "a Virtual PC disk",
    b"QED\0": "a QED disk",
    b"\xfd7zX": "compressed with xz",
    b"\x1f\x8b": "compressed with gzip",
    b"(\xb5/\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"PK\3\4": "a ZIP archive",
}


@dataclass(frozen=True, slots=True)
class DiskFormat:
    """The format of an image file (``qcow2`` or ``raw``) and the size in bytes of the disk in it."""

    format: str
    virtual_size: int


def shape_of(path: Path, what: str | None = None) -> DiskFormat:
    """Return the format of a disk image file; ``what`` names it in messages.

    Raises ``CheckFailed`` for a file that is not one, or that depends on another file or a password.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(2 * SECTOR)
    except OSError as error:
        raise CheckFailed(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    read = _qcow2 if head.startswith(MAGIC) else _raw
    return read(what or str(path), head, size)


def _qcow2(path: str, head: bytes, size: int) -> DiskFormat:
    if len(head) < 104:
        raise CheckFailed(f"{path} ends within its header", hint="download it again")
    _, version, backing, _, cluster_bits, virtual, encryption = _HEADER.unpack_from(head)
    if version not in (2, 3) or not 9 <= cluster_bits <= 21 or not 0 < virtual <= LARGEST_DISK:
        raise CheckFailed(f"{path} has an invalid qcow2 header", hint="download it again")
    if backing:
        raise CheckFailed(
            f"{path} is an overlay: most of its content is in another file",
            hint=f"`qemu-img convert -O qcow2 {path} whole.qcow2` merges them",
        )
    if encryption:
        raise CheckFailed(f"{path} is encrypted", hint="decrypt it with qemu-img convert first")
    if version == 3:
        _check_features(path, _FEATURES.unpack_from(head, 72)[0])
    if size < 3 << cluster_bits:  # header, first-level table, reference counts
        raise CheckFailed(f"{path} is cut off: {size} bytes", hint="download it again")
    return DiskFormat("qcow2", virtual)


def _check_features(path: str, features: int) -> None:
    if features & _EXTERNAL_DATA:
        raise CheckFailed(f"{path} keeps its data in another file", hint="convert it with qemu-img convert first")
    if features & _CORRUPT:
        raise CheckFailed(f"{path} is marked as corrupt", hint=f"`qemu-img check -r all {path}` may repair it")
    if features & _DIRTY:
        raise CheckFailed(
            f"{path} was not closed cleanly", hint=f"stop the machine that uses it, or run `qemu-img check {path}`"
        )


def _raw(path: str, head: bytes, size: int) -> DiskFormat:
    other = next((kind for magic, kind in _OTHERS.items() if head.startswith(magic)), None)
    if other:
        raise CheckFailed(f"{path} is {other}", hint="unpack it, or convert it with `qemu-img convert -O qcow2`")
    if size < LEAST_DISK or head[510:512] != b"\x55\xaa" or size % SECTOR:
        raise CheckFailed(
            f"{path} is not a disk image: neither qcow2 nor a raw disk with a boot sector",
            hint="give a cloud image: a .qcow2 or .img file for virtual machines",
        )
    _check_partitions(path, head, size)
    return DiskFormat("raw", size)


def _check_partitions(path: str, head: bytes, size: int) -> None:
    """Refuse a partition that ends after the end of the file, which is truncated."""
    for at in range(446, 510, 16):
        kind, start, count = head[at + 4], *struct.unpack_from("<II", head, at + 8)
        # A GPT's stand-in entry may claim the largest disk there is.
        if kind not in (0, 0xEE) and (start + count) * SECTOR > size:
            raise CheckFailed(
                f"{path} is cut off: a partition ends after the end of the file ({size} bytes)",
                hint="download it again",
            )
