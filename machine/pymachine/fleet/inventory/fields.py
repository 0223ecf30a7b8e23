"""Types of values: each parses a value, records what is wrong with it, and has a JSON Schema.

The reader and the schema use the same objects, so they cannot differ. ``ABSENT`` stands for a value that could not be
read: an error is recorded, and the reading continues.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pymachine.errors import ValueFault
from pymachine.fleet.inventory.context import Reading
from pymachine.fleet.inventory.yaml_nodes import (
    ABSENT,
    BROKEN,
    NULL,
    TRUTH,
    WHOLE,
    Items,
    Scalar,
    Table,
    Value,
    named,
)
from pymachine.options.values import hidden_user, span

Schema = dict[str, Any]
Check = Callable[[str], Any]

# A number or truth may come from a variable or a range: ${CPUS:-2}, 22{01..09}.
_EXPRESSION: Schema = {"$ref": "#/$defs/expression"}
EXPRESSION: Schema = {"type": "string", "pattern": r"\$\{|\{", "description": "A variable or a range."}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?", re.ASCII)
_SECONDS = {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class FieldType(Protocol):
    """The type of a key's value."""

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the value as a Python object, or ``ABSENT``."""

    def schema(self) -> Schema:
        """Return the JSON Schema of the type."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text; numbers are taken as they are written. ``check`` returns the value or raises ``ValueFault``."""

    check: Check | None = None
    choices: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the result of the check."""
        if not isinstance(value, Scalar) or value.kind == NULL:
            return refuse(value, "text", reading)
        if value.kind == BROKEN:
            return ABSENT
        if not value.text.strip():
            reading.fault(value, f"{shown(value)} is empty")
            return ABSENT
        if self.choices and value.text not in self.choices:
            reading.fault(value, f"{shown(value)} is not one of {', '.join(self.choices)}")
            return ABSENT
        return checked(value, self.check, reading) if self.check else value.text

    def schema(self) -> Schema:
        """Return a string's schema; an unquoted number is a text too."""
        if self.choices:
            return {"enum": list(self.choices)}
        return {"type": ["string", "number"], **({"examples": list(self.examples)} if self.examples else {})}


@dataclass(frozen=True, slots=True)
class Number:
    """An integer between two bounds; ``fraction`` allows decimals."""

    least: int | None = None
    most: int | None = None
    fraction: bool = False

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the number."""
        number = self._parsed(value)
        if number is None:
            return refuse(value, "a number" if self.fraction else "a whole number", reading)
        low, high = self.least, self.most
        if (low is not None and number < low) or (high is not None and number > high):
            reading.fault(value, f"{shown(value)} is out of range", f"give {span(low, high)}")
            return ABSENT
        return number

    def _parsed(self, value: Value) -> float | None:
        if not isinstance(value, Scalar) or (not value.changed and value.kind not in (WHOLE, "float")):
            return None
        try:
            return float(value.text) if self.fraction else int(value.text)
        except ValueError:
            return None

    def schema(self) -> Schema:
        """Return a number's schema."""
        number: Schema = {"type": "number" if self.fraction else "integer"}
        number |= {} if self.least is None else {"minimum": self.least}
        number |= {} if self.most is None else {"maximum": self.most}
        return {"anyOf": [number, _EXPRESSION]}


@dataclass(frozen=True, slots=True)
class Truth:
    """A boolean."""

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the boolean."""
        if isinstance(value, Scalar) and (value.kind == TRUTH or value.changed) and value.text.lower() in _TRUTHS:
            return _TRUTHS[value.text.lower()]
        return refuse(value, "true or false", reading)

    def schema(self) -> Schema:
        """Return a boolean's schema."""
        return {"anyOf": [{"type": "boolean"}, _EXPRESSION]}


@dataclass(frozen=True, slots=True)
class Duration:
    """A time, ``90d``, ``36h``, ``5s`` or a number of seconds; the result is in seconds."""

    least: int = 1
    most: int | None = None

    def read(self, value: Value, reading: Reading) -> Any:
        """Return seconds."""
        match = _DURATION.fullmatch(value.text.strip()) if isinstance(value, Scalar) else None
        if match is None:
            return refuse(value, "a time such as 90d, 36h or 5s", reading)
        seconds = int(float(match[1]) * _SECONDS[match[2]])
        if seconds < self.least or (self.most is not None and seconds > self.most):
            reading.fault(value, f"{shown(value)} is out of range", f"give {span(self.least, self.most)} seconds")
            return ABSENT
        return seconds

    def schema(self) -> Schema:
        """Return the schema of a number of seconds or a text."""
        pattern = rf"^{_DURATION.pattern}$".replace("(?:", "(")
        return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": pattern}, _EXPRESSION]}


@dataclass(frozen=True, slots=True)
class Several:
    """A list of one type; a single value counts as a list of one. The result is a tuple."""

    kind: FieldType
    least: int = 0

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the values that could be read."""
        parts = value.items if isinstance(value, Items) else (value,)
        if len(parts) < self.least:
            reading.fault(value, "the list is empty", f"give at least {self.least}")
        found = (self.kind.read(part, reading) for part in parts)
        return tuple(item for item in found if item is not ABSENT)

    def schema(self) -> Schema:
        """Return the schema of one or a list."""
        one = self.kind.schema()
        return {"anyOf": [one, {"type": "array", "items": one, **({"minItems": self.least} if self.least else {})}]}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Keys and values, as a mapping or a list of ``key=value``. The result is a dict of texts.

    ``key`` checks the keys. ``secret`` values may be ``{from_file: PATH}`` or ``{from_command: [WORD, …]}``.
    """

    key: Check | None = None
    secret: bool = False

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the pairs that could be read."""
        if isinstance(value, Table):
            pairs: list[tuple[str, Any, Value]] = [
                (key, self._value(key, item, reading), Scalar(key, "str", value.keys[key], key))
                for key, item in value.cells.items()
            ]
        elif isinstance(value, Items):
            pairs = [pair for item in value.items if (pair := self._pair(item, reading)) is not None]
        else:
            return refuse(value, "a mapping", reading)
        return {
            key: text
            for key, text, where in pairs
            if text is not ABSENT and (self.key is None or checked(where, self.key, reading, key) is not ABSENT)
        }

    def _pair(self, item: Value, reading: Reading) -> tuple[str, Any, Value] | None:
        if not isinstance(item, Scalar) or "=" not in item.text:
            refuse(item, "key=value", reading)
            return None
        key, _, text = item.text.partition("=")
        rest = Scalar(text, "str", item.spot, item.source.partition("=")[2])
        return key, self._value(key, rest, reading), Scalar(key, "str", item.spot, item.source.partition("=")[0])

    def _value(self, key: str, value: Value, reading: Reading) -> Any:
        if self.secret and isinstance(value, Table):
            return reading.secret(value)
        if not isinstance(value, Scalar) or value.kind == BROKEN:
            return refuse(value, "text", reading)
        text = "" if value.kind == NULL else value.text
        if "\n" in text or "\0" in text:
            reading.fault(value, f"the value of {key} has more than one line")
            return ABSENT
        if self.secret:
            reading.mind_secret(key, value)
        return text

    def schema(self) -> Schema:
        """Return the schema of a mapping or a list."""
        plain: Schema = {"type": ["string", "number", "boolean", "null"]}
        item = {"anyOf": [plain, {"$ref": "#/$defs/secret"}]} if self.secret else plain
        mapping = {"type": "object", "additionalProperties": item}
        return {"anyOf": [mapping, {"type": "array", "items": {"type": "string", "pattern": "="}}]}


@dataclass(frozen=True, slots=True)
class Converted:
    """Another type, whose values are converted."""

    kind: FieldType
    convert: Callable[[Any], Any]

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the converted value."""
        found = self.kind.read(value, reading)
        return found if found is ABSENT else self.convert(found)

    def schema(self) -> Schema:
        """Return the other kind's schema."""
        return self.kind.schema()


@dataclass(frozen=True, slots=True)
class Free:
    """Any mapping, which another program reads. The result is JSON values."""

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the mapping unchanged; nothing if a value in it could not be read, which is already recorded."""
        if _broken(value):
            return ABSENT
        return plain(value) if isinstance(value, Table) else refuse(value, "a mapping", reading)

    def schema(self) -> Schema:
        """Return the schema of any mapping."""
        return {"type": "object"}


def _broken(value: Value) -> bool:
    if isinstance(value, Scalar):
        return value.kind == BROKEN
    parts = value.cells.values() if isinstance(value, Table) else value.items
    return any(_broken(part) for part in parts)


def checked(value: Value, check: Check, reading: Reading, text: str | None = None) -> Any:
    """Return the result of a check, or ``ABSENT`` with the error recorded."""
    if isinstance(value, Scalar) and value.kind == BROKEN:
        return ABSENT
    given = text if text is not None else getattr(value, "text", "")
    try:
        return check(given)
    except ValueFault as fault:
        reading.fault(value, fault.worded("", _as_given(value, fault)), fault.hint)
        return ABSENT


def _as_given(value: Value, fault: ValueFault) -> str:
    """Return what a fault is about as the file has it: of what a variable made, its name; no password."""
    if isinstance(value, Scalar) and value.changed:
        return repr(value.source)
    return repr(_without_password(fault.value or ""))


def _without_password(text: str) -> str:
    return hidden_user(text) if ":" in text.rpartition("@")[0] else text


def refuse(value: Value, wanted: str, reading: Reading) -> Any:
    """Record that a value has the wrong type, unless an error is already recorded for it."""
    if isinstance(value, Scalar) and value.kind == BROKEN:
        return ABSENT
    reading.fault(value, f"{shown(value)} is not {wanted}")
    return ABSENT


def shown(value: Value) -> str:
    """Return a value for a message: a scalar as in the file, not the value of its variable."""
    if not isinstance(value, Scalar) or value.kind == NULL:
        return named(value)
    text = repr(_without_password(value.source))
    return text if len(text) <= 60 else text[:59] + "…"


def plain(value: Value) -> Any:
    """Return a value as JSON."""
    if isinstance(value, Table):
        return {key: plain(item) for key, item in value.cells.items()}
    if isinstance(value, Items):
        return [plain(item) for item in value.items]
    return _resolved(value)


def _resolved(value: Scalar) -> Any:
    """Return a scalar as YAML resolves it; for one made from a variable, as if its text stood there."""
    text = value.text
    if value.kind == NULL:
        return None
    if value.kind == TRUTH or (value.changed and text in ("true", "false")):
        return _TRUTHS[text.lower()]
    numeric = value.kind == WHOLE or (value.changed and text.isdecimal())
    try:
        return int(text) if numeric else float(text) if value.kind == "float" else text
    except ValueError:
        return text


def pairs_of(mapping: Mapping[str, str]) -> tuple[str, ...]:
    """Return ``key=value`` for each pair."""
    return tuple(f"{key}={value}" for key, value in mapping.items())
