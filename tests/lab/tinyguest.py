"""Guests of one boot sector: 16-bit code of our own that prints to the serial port and then does what a test needs.

They boot in well under a second under emulation, which makes it cheap to see a boot followed to each of its ends.
"""

from __future__ import annotations

import shutil
from pathlib import Path

ORIGIN = 0x7C00
SECTOR = 512
SIZE = 64 << 20  # sparse

# xor ax,ax; mov ds,ax; cld; mov dx,0x3f8 (COM1); mov si,TEXT;
# next: lodsb; test al,al; jz done; out dx,al; jmp next; done:
_PRINT = bytes.fromhex("31c0 8ed8 fc baf803 be") + b"TT" + bytes.fromhex("ac 84c0 7403 ee ebf8")
HANG = bytes.fromhex("f4 ebfd")  # hlt; jmp back to it
POWER_OFF = bytes.fromhex("ba0406 b80020 ef f4 ebfd")  # mov dx,0x604; mov ax,0x2000; out dx,ax: ACPI's S5 on q35
# sti; mov dx,0x602; mov ax,0x100; out dx,ax (ACPI's power button counts); mov dx,0x600;
# next: hlt; in ax,dx; test ah,1 (it was pressed); jz next; and off
OBEY = bytes.fromhex("fb ba0206 b80001 ef ba0006 f4 ed f6c401 74f9") + POWER_OFF
# sti; mov dx,0x602; mov ax,0x100; out dx,ax; mov cx,4; mov dx,0x600;
# next: hlt (until the clock ticks, 18 times a second); in ax,dx; test ah,1; jnz off; loop next; jmp far ORIGIN; off:
TALK = bytes.fromhex("fb ba0206 b80001 ef b90400 ba0006 f4 ed f6c401 7507 e2f7 ea007c0000") + POWER_OFF
# next: mov ah,0x43; xor al,al; mov dl,0x80; mov si,PACKET; int 0x13; add byte [PACKET+9],1; jmp next
FILL_DISK = bytes.fromhex("b443 30c0 b280 be") + b"PP" + bytes.fromhex("cd13 8006") + b"QQ" + bytes.fromhex("01 ebee")
# What int 0x13 writes: 64 sectors of memory from 0x7c00 on, to sector 256 and every 256th after it.
_PACKET = bytes.fromhex("1000 4000 007c 0000 0001000000000000")


def sector(text: str, then: bytes = HANG) -> bytes:
    """Return a boot sector that prints ``text`` and goes on with ``then``."""
    code = _PRINT + then
    packet = ORIGIN + len(code)
    start = packet + len(_PACKET)
    code = code.replace(b"TT", _word(start)).replace(b"PP", _word(packet)).replace(b"QQ", _word(packet + 9))
    whole = code + _PACKET + text.encode() + b"\0"
    assert len(whole) <= SECTOR - 2, "the text is too long for a boot sector"
    return whole.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def _word(number: int) -> bytes:
    return number.to_bytes(2, "little")


def write_disk(path: Path, boot: bytes, size: int = SIZE) -> Path:
    """Make a sparse raw disk with this boot sector, where QEMU's account may read and write it."""
    with path.open("wb") as file:
        file.write(boot)
        file.truncate(size)
    path.chmod(0o666)
    return path


def open_folder(path: Path) -> Path:
    """Make a folder, and let QEMU's account reach it: pytest's own are closed to everybody else."""
    path.mkdir(mode=0o755)
    for folder in (path, *path.parents):
        if folder == Path("/"):
            break
        folder.chmod(folder.stat().st_mode | 0o011)
    return path


def domain_xml(name: str, uuid: str, disk: Path) -> str:
    """Return the definition of an emulated guest that boots such a disk."""
    return f"""<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
      <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/><apic/></features>
      <devices><disk type='file' device='disk'><driver name='qemu' type='raw' error_policy='enospace'/>
        <source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
        <serial type='pty'/><console type='pty'/><memballoon model='none'/></devices></domain>"""


def missing() -> str:
    """Say what is not here that these guests need, empty for nothing."""
    return "" if shutil.which("qemu-system-x86_64") else "QEMU for x86_64 is not installed"
