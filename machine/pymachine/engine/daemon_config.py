"""daemon.json: strict parsing, merging keys into it, and removing exactly those. Pure.

What was added is recorded as ``added``, a document of the same shape: scalars, the list items that were not there,
the members of objects that were not there. The next merge uses it (a value of pymachine may change), and so does the
removal (only unchanged values are removed).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pymachine.errors import CheckFailed

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConfigConflict:
    """A key of two configurations, inner ones joined by dots, that have different values of it."""

    key: str
    present: Any
    wanted: Any


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of a merge. Where there are ``conflicts``, ``config`` is of no use."""

    config: Config
    added: Config
    conflicts: tuple[ConfigConflict, ...] = ()


class _Twice(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def parse_config(data: bytes, path: str) -> Config:
    """Parse daemon.json. An empty file and ``null`` count as ``{}``, as they do for dockerd.

    Raises ``CheckFailed`` with line and column if it is not JSON, and with the key if one is given twice, because
    Python and dockerd would silently take the last one.
    """
    try:
        text = data.decode("utf-8-sig")
        document = json.loads(text or "{}", object_pairs_hook=_unique) if text.strip() else {}
    except _Twice as error:
        line = _second_line(text, error.key)
        raise CheckFailed(f"{path}: key {error.key!r} is given twice (line {line})", hint=_FIX) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise CheckFailed(f"{path} is not JSON: {error.msg} at {where}", hint=_FIX) from error
    except UnicodeDecodeError as error:
        raise CheckFailed(f"{path} is not UTF-8 text (byte {error.start})", hint=_FIX) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise CheckFailed(f"{path} does not hold a JSON object", hint=_FIX)
    return document


def set_values(config: Mapping[str, Any]) -> Config:
    """Return a config without null values, at any depth: to dockerd such a value is not set.

    Only if a flag of the same name is given does a null count: dockerd then does not start, as with any other value.
    """
    return {
        key: set_values(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if value is not None
    }


_FIX = "correct the file; nothing was changed"


def _unique(pairs: list[tuple[str, Any]]) -> Config:
    found: Config = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _second_line(text: str, key: str) -> int:
    places = [m.start() for m in re.finditer(re.escape(json.dumps(key)) + r"\s*:", text)]
    return text.count("\n", 0, places[1] if len(places) > 1 else 0) + 1


def encode_config(config: Mapping[str, Any]) -> bytes:
    """Return the text of a config, keys in their order."""
    return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def merge(existing: Mapping[str, Any], wanted: Mapping[str, Any], previous: Mapping[str, Any]) -> Merged:
    """Merge the host's config with pymachine's: unknown keys stay, lists are united in order, objects by member.

    A scalar with another value is a conflict, unless pymachine set it (``previous``, the ``added`` of the last
    merge); then it is replaced even if somebody changed it since.
    """
    base = without_old_labels(withdraw(existing, previous), wanted, previous)
    added: Config = {}
    conflicts: list[ConfigConflict] = []
    united = _unite(base, wanted, previous, _Notes(added, conflicts))
    return Merged(_in_order_of(existing, united), added, tuple(conflicts))


def withdraw(existing: Mapping[str, Any], added: Mapping[str, Any]) -> Config:
    """Return the config without what was added; values that were changed since belong to the user and stay."""
    rest: Config = {}
    for key, value in existing.items():
        if key not in added:
            rest[key] = value
        elif (left := _left_over(value, added[key])) is not None:
            rest[key] = left
    return rest


def _left_over(value: Any, ours: Any) -> Any:
    if isinstance(value, dict) and isinstance(ours, Mapping):
        return withdraw(value, ours) or None
    if isinstance(value, list) and isinstance(ours, list | tuple):
        return [item for item in value if item not in ours] or None
    return None if value == ours else value


@dataclass(frozen=True, slots=True)
class _Notes:
    """What a merge records at one place of the config, and the conflicts there."""

    added: Config
    conflicts: list[ConfigConflict]
    path: tuple[str, ...] = ()

    def below(self, key: str) -> _Notes:
        return _Notes({}, self.conflicts, (*self.path, key))


def _unite(base: Mapping[str, Any], wanted: Mapping[str, Any], previous: Mapping[str, Any], notes: _Notes) -> Config:
    united = dict(base)
    for key, value in wanted.items():
        there = base.get(key)
        if there is None:  # null is not set
            united[key] = notes.added[key] = value
        elif isinstance(there, dict) and isinstance(value, dict):
            ours, inner = previous.get(key), notes.below(key)
            united[key] = _unite(there, value, ours if isinstance(ours, Mapping) else {}, inner)
            notes.added.update({key: inner.added} if inner.added else {})
        elif isinstance(there, list) and isinstance(value, list):
            fresh = [item for item in value if item not in there]
            united[key] = [*there, *fresh]
            notes.added.update({key: fresh} if fresh else {})
        elif there != value and key in previous:
            united[key] = notes.added[key] = value
        elif there != value:
            where = ".".join((*notes.path, key))
            notes.conflicts.append(ConfigConflict(where, there, value))
    return united


def without_old_labels(base: Config, wanted: Mapping[str, Any], previous: Mapping[str, Any]) -> Config:
    """Return a config without earlier labels of pymachine whose requested value has changed."""
    ours = _label_keys(previous.get("labels")) & _label_keys(wanted.get("labels"))
    there = base.get("labels")
    if not ours or not isinstance(there, list):
        return base
    asked = wanted["labels"]
    kept = [label for label in there if label in asked or _label_keys([label]).isdisjoint(ours)]
    return {key: kept if key == "labels" else value for key, value in base.items() if key != "labels" or kept}


def _label_keys(labels: Any) -> set[str]:
    found = labels if isinstance(labels, list | tuple) else ()
    return {label.partition("=")[0] for label in found if isinstance(label, str)}


def _in_order_of(existing: Mapping[str, Any], config: Config) -> Config:
    ordered = {key: config[key] for key in existing if key in config}
    return ordered | config


def shown(value: Any) -> str:
    """Return a value of a configuration for a message."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def label_conflicts(there: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return a sentence for each label that would get two values; dockerd does not start with such labels."""
    known = dict(label.partition("=")[::2] for label in there)
    pairs = (label.partition("=")[::2] for label in wanted)
    return [
        f"label {key} is {known[key]!r} on the host, {value!r} is requested"
        for key, value in pairs
        if key in known and known[key] != value
    ]
