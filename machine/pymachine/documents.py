"""Converts frozen dataclasses to JSON documents and back, and keeps unknown keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeVar, cast

from pymachine.type_hints import Hint, HintForm, hints_of

T = TypeVar("T")

SHOWN = 60  # characters of a value that does not fit
_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


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
    """Build a dataclass of ``kind``; unknown keys go to its ``extra`` field if it has one, else they are dropped.

    Raises ``TypeError`` or ``ValueError`` with the path of the part that does not fit.
    """
    return _built(kind, document, "")


def _built(kind: type[T], document: Any, path: str) -> T:
    _demand(isinstance(document, Mapping), "an object", document, path)
    hints = hints_of(cast(Any, kind))  # a class is hashable, which its metaclass hides from type checkers
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


def _value(hint: Hint, item: Any, path: str) -> Any:
    match hint.form:
        case HintForm.UNION:
            return _of_union(hint, item, path)
        case HintForm.LITERAL:
            _demand(item in hint.values, f"one of {', '.join(map(repr, hint.values))}", item, path)
            return item
        case HintForm.SEQUENCE:
            return hint.of(_parts(hint.parts[0], item, path))
        case HintForm.MAPPING:
            return _mapping(hint.parts[0], item, path)
    return _instance(hint.of, item, path)


def _instance(kind: Any, item: Any, path: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return _built(kind, item, path)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(item)
    return _plain(kind, item, path)


def _of_union(hint: Hint, item: Any, path: str) -> Any:
    """Take the first kind that fits. Raises what the last one raised."""
    if item is None and hint.optional:
        return None
    *others, last = hint.parts
    for kind in others:
        try:
            return _value(kind, item, path)
        except (TypeError, ValueError):
            continue
    return _value(last, item, path)


def _parts(hint: Hint, item: Any, path: str) -> list[Any]:
    _demand(isinstance(item, list | tuple), "a list", item, path)
    return [_value(hint, part, f"{path}[{number}]") for number, part in enumerate(item)]


def _mapping(hint: Hint, item: Any, path: str) -> dict[str, Any]:
    _demand(isinstance(item, Mapping), "an object", item, path)
    return {key: _value(hint, part, f"{path}.{key}") for key, part in item.items()}


def _plain(hint: Any, item: Any, path: str) -> Any:
    """Check one text, number or boolean; JSON does not distinguish 1.0 from 1, and Python not 1 from True.

    Types that JSON does not have are stored as text and built from it by their class; other hints are not checked.
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
    """Return a value of a document in a form for error messages."""
    text = repr(item)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
