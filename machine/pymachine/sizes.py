"""Parses and formats sizes."""

from __future__ import annotations

import re

from pymachine.errors import UsageFault

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:i?B)?)?", re.IGNORECASE | re.ASCII)
_UNITS = {"K": KIB, "M": MIB, "G": GIB, "T": TIB}


def parse_size(text: str, flag: str) -> int:
    """Return bytes for ``2G``, ``1.5GiB`` or ``512M``; a plain number is in MiB. Raises ``UsageFault``."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise UsageFault(f"{flag}: {text!r} is not a valid size", hint="write it like 2G or 512M")
    return int(float(match[1]) * (_UNITS[match[2].upper()] if match[2] else MIB))


def exact_size(count: int) -> str:
    """Return bytes in a form that ``parse_size`` reads back exactly: ``2G``, ``1536M``."""
    unit = next((unit for unit, size in reversed(_UNITS.items()) if count % size == 0), None)
    return f"{count // _UNITS[unit]}{unit}" if unit else f"{count / KIB!r}K"
