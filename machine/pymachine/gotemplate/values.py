"""Values of a template as Go sees them: kinds, truth, and what an absent one is.

Python's ``int`` stands for Go's ``int``, ``float`` for ``float64`` (every number of a decoded JSON document), a
mapping for ``map[string]interface{}``, a list or tuple for ``[]interface{}``, ``None`` for nil.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, Final


class _Absent(Enum):
    ABSENT = "absent"


# A key that a map does not have: Go's zero Value, which is printed like nil, and of which every field is absent too.
ABSENT: Final = _Absent.ABSENT


class Struct(dict[str, Any]):
    """Fields with fixed names, by name: another name is an error, where a map has an absent value."""


class GoKind(StrEnum):
    """Kinds of values; the text is the name of the Go type."""

    NIL = "nil"
    BOOL = "bool"
    INT = "int"
    FLOAT = "float64"
    STRING = "string"
    SLICE = "[]interface {}"
    MAP = "map[string]interface {}"
    STRUCT = "struct"


def kind_of(value: Any) -> GoKind:
    """Return the kind of a value. Raises ``TypeError`` for one that no template can be given."""
    if value is None or value is ABSENT:
        return GoKind.NIL
    for types, kind in _KINDS:
        if isinstance(value, types):
            return kind
    raise TypeError(f"{type(value).__name__} has no counterpart in Go")


_KINDS: tuple[tuple[type | tuple[type, ...], GoKind], ...] = (
    (bool, GoKind.BOOL),  # before int, of which Python makes it a subclass
    (int, GoKind.INT),
    (float, GoKind.FLOAT),
    (str, GoKind.STRING),
    ((list, tuple), GoKind.SLICE),
    (Struct, GoKind.STRUCT),
    (Mapping, GoKind.MAP),
)


def is_true(value: Any) -> bool:
    """Return whether ``if`` takes a value for true: false are nil, 0, false and what is empty; a struct never is."""
    return kind_of(value) is GoKind.STRUCT or (value is not ABSENT and bool(value))


def decoded(value: Any) -> Any:
    """Return a JSON value with every number as Go decodes it: ``float64``."""
    if isinstance(value, Mapping):
        return {key: decoded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [decoded(item) for item in value]
    return float(value) if kind_of(value) is GoKind.INT else value
