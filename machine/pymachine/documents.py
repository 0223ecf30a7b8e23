"""Frozen dataclasses to JSON documents and back, keeping the keys we do not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_document(value: Any) -> Any:
    """Return ``value`` as plain JSON values; a dataclass's ``extra`` mapping is spread into its document."""
    if is_dataclass(value) and not isinstance(value, type):
        document = {f.name: to_document(getattr(value, f.name)) for f in fields(value)}
        extra = document.pop("extra", None) or {}
        return {**extra, **document}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_document(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [to_document(item) for item in value]
    return value


def from_document(kind: type[T], document: Mapping[str, Any]) -> T:
    """Build a dataclass of ``kind``; unknown keys go to its ``extra`` field if it has one, else are dropped.

    Raises ``TypeError``, ``ValueError`` or ``KeyError`` where the document does not fit.
    """
    hints = _hints(cast(Any, kind))  # a class is hashable, which its metaclass hides from type checkers
    known = {key: _value(hints[key], item) for key, item in document.items() if key in hints and key != "extra"}
    if "extra" in hints:
        known["extra"] = {key: item for key, item in document.items() if key not in hints}
    return kind(**known)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, item: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return None if item is None else _value(next(a for a in get_args(hint) if a is not NoneType), item)
    if origin is tuple:
        return tuple(_value(get_args(hint)[0], part) for part in item)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_document(hint, item)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(item)
    return item
