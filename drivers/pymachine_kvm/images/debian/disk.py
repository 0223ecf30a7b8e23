"""Makes a bootable disk from a folder: MBR, one ext4 partition, GRUB in the gap before it.

No loop device, no mount.
"""

from __future__ import annotations

import struct
from pathlib import Path

from pymachine.errors import PymachineError

SECTOR = 512
MIB = 1 << 20
PARTITION_START = MIB // SECTOR  # where every partitioner puts the first one

# GRUB's boot.img, as grub-bios-setup fills it in (GRUB's util/setup.c, include/grub/i386/pc/boot.h).
_DRIVE_CHECK = 0x66  # a jump; two no-ops here make it trust the BIOS less: some pass a wrong drive number
_CORE_SECTOR = 0x5C  # 64 bit: where the core image begins
_SIGNATURE = 440  # the disk's own number, 32 bit, then 16 bit of nothing
_PARTITIONS = 446
_CORE_AT = 1  # sector of the core image: right behind the MBR
# The last list entry in the core image's first sector: where the rest of it is (start, sectors, segment).
_BLOCK_LIST = SECTOR - 12
_CORE_SEGMENT = 0x820
_LINUX = 0x83
_ACTIVE = 0x80
# Cylinder, head and sector mean nothing on a disk like this; the highest values say "use the sector numbers".
_NO_CHS = b"\xfe\xff\xff"


def boot_sector(boot: bytes, sectors: int, number: int) -> bytes:
    """Return the MBR of a disk with this many sectors: GRUB's ``boot.img``, which loads a core image at sector 1.

    ``number`` is the disk's signature (32 bit).
    """
    mbr = bytearray(boot)
    if len(mbr) != SECTOR or mbr[510:] != b"\x55\xaa":
        raise PymachineError("GRUB's boot.img is not a boot sector", hint="is grub-pc-bin of this release damaged?")
    mbr[_CORE_SECTOR : _CORE_SECTOR + 8] = struct.pack("<Q", _CORE_AT)
    mbr[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    mbr[_SIGNATURE : _SIGNATURE + 6] = struct.pack("<IH", number, 0)
    entry = struct.pack("<B3sB3sII", _ACTIVE, _NO_CHS, _LINUX, _NO_CHS, PARTITION_START, sectors - PARTITION_START)
    mbr[_PARTITIONS : _PARTITIONS + 64] = entry.ljust(64, b"\0")
    return bytes(mbr)


def core_image(core: bytes) -> bytes:
    """Return GRUB's core image for sector 1 onwards, in whole sectors, patched with the position of its own rest."""
    padded = bytearray(core.ljust(-(-len(core) // SECTOR) * SECTOR, b"\0"))
    sectors = len(padded) // SECTOR
    if not 2 <= sectors < PARTITION_START - _CORE_AT:
        raise PymachineError(f"GRUB's core image has {len(core)} bytes, which do not fit before the first partition")
    padded[_BLOCK_LIST:SECTOR] = struct.pack("<QHH", _CORE_AT + 1, sectors - 1, _CORE_SEGMENT)
    return bytes(padded)


def write_boot(disk: Path, boot: bytes, core: bytes, number: int) -> None:
    """Write MBR and core image into a disk file whose size is set already."""
    sectors = disk.stat().st_size // SECTOR
    with disk.open("r+b") as file:
        file.write(boot_sector(boot, sectors, number))
        file.write(core_image(core))
