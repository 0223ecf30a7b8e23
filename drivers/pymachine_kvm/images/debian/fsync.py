"""Makes programs skip fsync: their data is written when the kernel decides.

dpkg syncs after each step of each package. An unfinished build is deleted anyway, and the image itself is synced when
it is added to the cache.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

# seccomp(2), linux/filter.h, linux/audit.h, and the numbers of x86_64's system calls.
_SET_SECCOMP, _FILTER = 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _NOTHING_DONE = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE = 0, 4
_X86_64 = 0xC000003E
_CALLS = {"msync": 26, "fsync": 74, "fdatasync": 75, "sync": 162, "sync_file_range": 277, "syncfs": 306}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("HBBI", code, then, otherwise, value)


def _filter() -> bytes:
    calls = tuple(_CALLS.values())
    return b"".join((
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, _X86_64, otherwise=len(calls) + 1),
        _instruction(_LOAD, _NUMBER),
        *(_instruction(_EQUAL, call, then=len(calls) - at) for at, call in enumerate(calls)),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _NOTHING_DONE),
    ))  # fmt: skip


_PROGRAM = _filter()
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def can_be_unsynced() -> bool:
    """Whether ``unsync`` is possible: only root may filter system calls of programs that change accounts."""
    return os.geteuid() == 0 and platform.machine() == "x86_64"


def unsync() -> None:
    """Make this process and its future children skip fsync; call it in a child before its exec.

    If the kernel does not allow it, nothing changes.
    """
    program = _Program(len(_PROGRAM) // 8, _PROGRAM)
    _prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)
