"""Whether something keeps this computer's clock right, as the kernel knows it."""

from __future__ import annotations

import ctypes

# adjtimex(2): what NTP daemons report to the kernel. Above this error the clock counts as not synchronised, as
# systemd has it: the flag STA_UNSYNC may be set for another purpose.
MOST_ERROR = 16_000_000  # microseconds


class _Timex(ctypes.Structure):
    """``struct timex`` up to what is read, with room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_char * 512),
    )


def is_synchronised() -> bool | None:
    """Return whether the clock is synchronised; None if the kernel does not tell."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):  # no Linux
        return None
    found = _Timex()  # no modes: nothing is set
    if adjtimex(ctypes.byref(found)) < 0:
        return None
    return bool(found.maxerror < MOST_ERROR)
