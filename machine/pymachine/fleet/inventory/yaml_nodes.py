"""YAML values with their places in the file, and their merging. Immutable."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pymachine.fleet.inventory.model import Spot

ABSENT: Any = object()  # of a value that could not be read: a fault is noted, and the reading goes on

NAMES_SHOWN = 12  # of those that are known, where nothing comes near
NULL, TRUTH, WHOLE, FRACTION, TEXT = "null", "bool", "int", "float", "str"
BROKEN = "broken"  # a variable in it has no value, for which a fault is noted already


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. ``text`` is the value, ``source`` the text of the file (``${VAR}`` in it): only that is shown.

    ``kind`` is the type that YAML gives it.
    """

    text: str
    kind: str
    spot: Spot
    source: str

    @property
    def changed(self) -> bool:
        """Whether a variable or a range made the text."""
        return self.text != self.source


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Value, ...]
    spot: Spot


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping. ``keys`` are the places of the keys."""

    cells: Mapping[str, Value]
    keys: Mapping[str, Spot]
    spot: Spot = field(compare=False)


Value: TypeAlias = Scalar | Items | Table


def is_null(value: Value | None) -> bool:
    """Whether it is an empty value (``key:`` or ``~``), which counts as not given."""
    return value is None or (isinstance(value, Scalar) and value.kind == NULL)


def merged(below: Table, above: Table) -> Table:
    """Merge two mappings: mappings are merged, everything else is replaced, an empty value removes.

    Values that only one of them has stay the same objects, so that they need not be read again.
    """
    cells, keys = dict(below.cells), dict(below.keys)
    for key, value in above.cells.items():
        under = cells.get(key)
        if is_null(value):
            cells.pop(key, None)
            continue
        cells[key] = merged(under, value) if isinstance(under, Table) and isinstance(value, Table) else value
        keys[key] = above.keys[key]
    return Table(cells, keys, above.spot)


def near(word: str, known: Iterable[str]) -> str:
    """Return `` did you mean …?`` for an unknown word, or the list of known ones."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    some = ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")
    return f"did you mean {close[0]}?" if close else f"there are {some}"


def named(value: Value) -> str:
    """Return the name of a value's type."""
    if isinstance(value, Table):
        return "a mapping"
    if isinstance(value, Items):
        return "a list"
    return {NULL: "nothing", TRUTH: "true or false", WHOLE: "a number", FRACTION: "a number"}.get(value.kind, "text")
