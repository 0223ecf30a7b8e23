"""The log of a container or service as the Engine API sends it: raw from a terminal, else in frames. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator

LINE = 300  # characters
_HEADER = struct.Struct(">BxxxL")  # the stream that a frame is of, and its length


def last_lines(data: bytes, lines: int, *, framed: bool) -> tuple[str, ...]:
    """Return the last lines that are not empty, each cut to ``LINE`` characters."""
    text = (b"".join(_frames(data)) if framed else data).decode(errors="replace")
    found = [line.rstrip()[:LINE] for line in text.splitlines() if line.strip()]
    return tuple(found[-lines:])


def _frames(data: bytes) -> Iterator[bytes]:
    place = 0
    while place + _HEADER.size <= len(data):
        _, length = _HEADER.unpack_from(data, place)
        place += _HEADER.size
        yield data[place : place + length]
        place += length
