"""The difference between two values, and its text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymachine.documents import to_document
from pymachine.options.values import HIDDEN
from pymachine.redaction import redacted

_LIMIT = 60  # characters of a value
_SHARED = 12  # characters before the first that differs, where a long text is cut


@dataclass(frozen=True, slots=True)
class Difference:
    """``name`` changes from ``before`` to ``after``: JSON values, None if not set.

    ``hidden`` says that ``***`` replaces a possible secret.
    """

    name: str
    before: Any
    after: Any
    hidden: bool = False

    def in_words(self) -> str:
        """Return ``memory 2G → 4G``."""
        if self.hidden and self.before == self.after:
            return f"{self.name} changed (not shown)".lstrip()
        return f"{self.name} {' → '.join(_texts(self.before, self.after))}".lstrip()


def difference(name: str, before: Any, after: Any, *, key: str = "", secret: bool = False) -> Difference:
    """Return a difference with possible secrets hidden: users in URLs, and texts whose ``key`` suggests a secret.

    ``key`` is the value's name in its own document, ``name`` by default. A value that is ``secret`` is always hidden.
    """
    old, new = to_document(before), to_document(after)
    if secret:
        return Difference(name, _masked(old), _masked(new), hidden=True)
    shown = redacted(old, key or name), redacted(new, key or name)
    return Difference(name, *shown, hidden=shown != (old, new))


def differences(name: str, before: Any, after: Any, *, key: str = "") -> tuple[Difference, ...]:
    """Return the differences of a value: of tables entry by entry, as ``name.entry``."""
    tables = [value for value in (before, after) if value is not None]
    if not tables or not all(isinstance(value, Mapping) for value in tables):
        return () if before == after else (difference(name, before, after, key=key),)
    old, new = before or {}, after or {}
    found = [differences(f"{name}.{part}".lstrip("."), old.get(part), new.get(part), key=part) for part in old | new]
    return tuple(one for some in found for one in some)


def pair_differences(name: str, before: tuple[str, ...], after: tuple[str, ...]) -> tuple[Difference, ...]:
    """Return the differences of ``KEY=VALUE`` texts by key; their values are secret."""
    old, new = (dict(pair.partition("=")[::2] for pair in pairs) for pairs in (before, after))
    return tuple(
        difference(f"{name} {key}", old.get(key), new.get(key), secret=True)
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    )


def _masked(value: Any) -> Any:
    return None if value is None else HIDDEN


def _texts(before: Any, after: Any) -> tuple[str, str]:
    """Return both values as texts, shortened if necessary, but still different."""
    old, new = _text(before), _text(after)
    if max(len(old), len(new)) <= _LIMIT:
        return old, new
    same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    begin = same - _SHARED if same > _LIMIT - _SHARED else 0
    return _cut(old, begin), _cut(new, begin)


def _cut(text: str, begin: int) -> str:
    rest = f"…{text[begin:]}" if begin else text
    return rest if len(rest) <= _LIMIT else f"{rest[: _LIMIT - 1]}…"


def _text(value: Any) -> str:
    if value is None or value in ("", (), [], {}):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
