"""What a key takes that is an option declared elsewhere: the engine's and the drivers'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymachine.fleet.inventory.context import Reading
from pymachine.fleet.inventory.fields import (
    Converted,
    FieldType,
    Free,
    Number,
    Pairs,
    Schema,
    Several,
    Text,
    Truth,
    checked,
    pairs_of,
    shown,
)
from pymachine.fleet.inventory.yaml_nodes import ABSENT, Table, Value
from pymachine.options.fields import OptionField
from pymachine.options.forms import Form
from pymachine.options.values import (
    SOURCES,
    check_key,
    check_source,
    check_variable,
    is_known_source,
    split_hosts,
)


@dataclass(frozen=True, slots=True)
class InstallSource:
    """Where the engine comes from: a word, a URL, or the file of a script, whose text is read. Comes to fields."""

    def read(self, value: Value, reading: Reading) -> Any:
        """Return ``install`` and ``install_script`` of ``EngineSpec``."""
        text = Text().read(value, reading)
        if text is ABSENT:
            return text
        if is_known_source(text):
            source = checked(value, check_source, reading, text)
            return source if source is ABSENT else {"install": source}
        if "/" not in text and "." not in text:
            reading.fault(
                value, f"{shown(value)} is not a valid source", f"give {', '.join(SOURCES)}, a URL or a file"
            )
            return ABSENT
        path = reading.path(value, text)
        script = checked(value, reading.surroundings.paths.read, reading, path)
        return (
            script if script is ABSENT else {"install": f"script:{path.rpartition('/')[2]}", "install_script": script}
        )

    def schema(self) -> Schema:
        """Return the schema of a text, with the words that are known."""
        return {"anyOf": [{"enum": list(SOURCES)}, {"type": "string"}]}


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the daemon, as a list of ``flag=value`` or as a mapping."""

    def read(self, value: Value, reading: Reading) -> Any:
        """Return a tuple of ``flag=value``."""
        if isinstance(value, Table):
            pairs = Pairs().read(value, reading)
            return pairs if pairs is ABSENT else pairs_of(pairs)
        return Several(Text()).read(value, reading)

    def schema(self) -> Schema:
        """Return the schema of a list or a mapping."""
        return {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "string"}}, {"type": "string"}]}


def field_type(option: OptionField) -> FieldType:
    """Return what the key of an option takes, by its form and type."""
    match option.form:
        case Form.PAIRS | Form.SECRETS:
            secret = option.form is Form.SECRETS
            return Converted(Pairs(check_variable if secret else check_key, secret=secret), pairs_of)
        case Form.HOSTS:
            return Converted(Several(Text()), split_hosts)
        case Form.FLAGS:
            return Options()
        case Form.SOURCE:
            return InstallSource()
    one = _single(option)
    return Several(one) if option.shape.many else one


def _single(option: OptionField) -> FieldType:
    kind = option.shape.of
    if option.shape.choices:
        return Text(choices=option.shape.choices)
    if kind in (int, float):
        return Number(option.least, option.most, fraction=kind is float)
    if kind is bool:
        return Truth()
    return Free() if kind is Mapping else Text(option.check, examples=option.examples)
