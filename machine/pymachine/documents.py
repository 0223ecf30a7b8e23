"""Frozen dataclasses to JSON documents and back, keeping the keys we do not know."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")

SHOWN = 60  # characters of a value that does not fit
_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_MAPPINGS = (dict, Mapping, MutableMapping)


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

    Raises ``TypeError`` or ``ValueError`` where the document does not fit, with the path of the part that does not.
    """
    return _built(kind, document, "")


def _built(kind: type[T], document: Any, path: str) -> T:
    _demand(isinstance(document, Mapping), "an object", document, path)
    hints = _hints(cast(Any, kind))  # a class is hashable, which its metaclass hides from type checkers
    known = {
        key: _value(hints[key], item, f"{path}.{key}" if path else key)
        for key, item in document.items()
        if key in hints and key != "extra"
    }
    if "extra" in hints:
        known["extra"] = {key: item for key, item in document.items() if key not in hints}
    missing = [f.name for f in fields(cast(Any, kind)) if f.name not in known and _is_required(f)]
    if missing:
        raise ValueError(f"{path or 'it'} lacks {', '.join(missing)}")
    return kind(**known)


def _is_required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, item: Any, path: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _of_union(get_args(hint), item, path)
    if origin is Literal:
        _demand(item in get_args(hint), f"one of {', '.join(map(repr, get_args(hint)))}", item, path)
        return item
    if origin in (tuple, list, frozenset):
        return origin(_parts(get_args(hint)[0], item, path))
    if origin in _MAPPINGS:
        return _mapping(get_args(hint)[1], item, path)
    if is_dataclass(hint) and isinstance(hint, type):
        return _built(hint, item, path)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(item)
    return _plain(hint, item, path)


def _of_union(kinds: tuple[Any, ...], item: Any, path: str) -> Any:
    """Take the first kind that fits. Raises what the last one raised."""
    if item is None and NoneType in kinds:
        return None
    rest = [kind for kind in kinds if kind is not NoneType]
    for kind in rest[:-1]:
        try:
            return _value(kind, item, path)
        except (TypeError, ValueError):
            continue
    return _value(rest[-1], item, path)


def _parts(hint: Any, item: Any, path: str) -> list[Any]:
    _demand(isinstance(item, list | tuple), "a list", item, path)
    return [_value(hint, part, f"{path}[{number}]") for number, part in enumerate(item)]


def _mapping(hint: Any, item: Any, path: str) -> dict[str, Any]:
    _demand(isinstance(item, Mapping), "an object", item, path)
    return {key: _value(hint, part, f"{path}.{key}") for key, part in item.items()}


def _plain(hint: Any, item: Any, path: str) -> Any:
    """Check one text, number or truth value; JSON does not tell 1.0 from 1, Python does not tell 1 from True.

    What JSON has no word for stands as text, and is made from it where its class can be; other hints are not checked.
    """
    if not isinstance(hint, type) or hint is Any:
        return item
    if issubclass(hint, PurePath) and isinstance(item, str):
        return hint(item)
    if hint is float and isinstance(item, int) and not isinstance(item, bool):
        return float(item)
    fits = isinstance(item, hint) and (hint is bool or not isinstance(item, bool))
    _demand(fits, _NAMES.get(hint, str(hint)), item, path)
    return item


def _demand(fits: bool, wanted: str, item: Any, path: str) -> None:
    if not fits:
        raise TypeError(f"{path or 'it'} is not {wanted} but {shortened(item)}")


def shortened(item: Any) -> str:
    """Return a value of a document as an error shows it."""
    text = repr(item)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
