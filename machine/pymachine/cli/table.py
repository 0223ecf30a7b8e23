"""Aligned tables: complete in a pipe, fitted to the width of a terminal. Pure.

On a narrow terminal whole columns are omitted, the rightmost omissible one first, and errors are listed below the
table. Cells are never truncated, because names and addresses are there to be copied.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

GAP = "   "
LEAST = 24  # cells in which a text can be read; with less it continues as one line
_ZERO_WIDTH = ("Mn", "Me", "Cf")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table may be fitted to a terminal: columns ``spare`` may be omitted, column ``below`` is printed below.

    Both are headers. Without ``below`` the last column is wrapped.
    """

    spare: Collection[str] = ()
    below: str | None = None


PLAIN = Layout()


def cells(text: str) -> int:
    """Return the terminal columns of a text (Unicode Standard Annex 11; marks and joiners have none)."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(char) for char in text)


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, layout: Layout = PLAIN
) -> list[str]:
    """Return the lines of a table; ``width`` is the terminal's, None without a terminal."""
    if width is None:
        return _aligned([headers, *rows])
    below = list(headers).index(layout.below) if layout.below is not None else None
    places = [place for place in range(len(headers)) if place != below]
    spare = [place for place in places if headers[place] in layout.spare]
    while spare and _width([headers, *rows], places) > width:
        places.remove(spare.pop())
    kept = [[row[place] for place in places] for row in (headers, *rows)]
    if below is None:
        return _wrapped(kept, width)
    return [*_fitted(kept, width), *(f"{row[0]}: {row[below]}" for row in rows if row[below])]


def _width(lines: Sequence[Sequence[str]], places: Sequence[int]) -> int:
    return sum(max(cells(line[place]) for line in lines) for place in places) + len(GAP) * (len(places) - 1)


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = _widths(lines)
    return [_joined(line, widths) for line in lines]


def _fitted(lines: Sequence[Sequence[str]], width: int) -> list[str]:
    """Align columns; if they do not fit, a long first cell shifts only its own line."""
    widths = _widths(lines)
    room = width - sum(widths[1:]) - len(GAP) * (len(widths) - 1)
    widths[0] = min(widths[0], max(room, cells(lines[0][0])))
    return [_joined(line, widths) for line in lines]


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(cells(line[place]) for line in lines) for place in range(len(lines[0]))]


def _joined(line: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(cell + " " * (width - cells(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()


def _wrapped(lines: Sequence[Sequence[str]], width: int) -> list[str]:
    """Align columns, the last one over as many lines as it needs."""
    widths = _widths(lines)
    before = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    room = width - before
    if before + widths[-1] <= width or room < LEAST:
        return _aligned(lines)
    found = []
    for line in lines:
        first, *more = _folded(line[-1], room) or [""]
        found.append(_joined([*line[:-1], first], [*widths[:-1], 0]))
        found += [" " * before + part for part in more]
    return found


def _folded(text: str, room: int) -> list[str]:
    """Wrap a text between words into lines of this many columns; a longer word gets its own line."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and cells(lines[-1]) + 1 + cells(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _cells_of(char: str) -> int:
    if unicodedata.category(char) in _ZERO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
