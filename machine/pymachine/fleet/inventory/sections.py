"""Mappings with known keys: their types, required keys, and suggestions for unknown ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymachine.fleet.inventory.context import Reading
from pymachine.fleet.inventory.fields import FieldType, Schema, refuse
from pymachine.fleet.inventory.yaml_nodes import ABSENT, NULL, Scalar, Table, Value, is_null, near


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section: its type and description. ``refused`` says what to do instead of using it."""

    name: str
    kind: FieldType
    help: str
    required: bool = False
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with known keys. The result is a dict of what could be read.

    ``short`` is the key that a single word sets: ``swarm: manager`` is ``swarm: {role: manager}``.
    """

    keys: tuple[Key, ...]
    short: str | None = None
    what: str = "key"

    def read(self, value: Value, reading: Reading) -> Any:
        """Return the values by key."""
        table = self.table(value)
        if table is None:
            return refuse(value, "a mapping", reading)
        known = {key.name: key for key in self.keys}
        found: dict[str, Any] = {}
        for name, item in table.cells.items():
            key = known.get(name)
            if key is None:
                reading.fault_at(table.keys[name], f"unknown {self.what} {name!r}", near(name, self.names))
            elif key.refused:
                reading.fault_at(table.keys[name], f"{name} is not supported", key.refused)
            elif not is_null(item) and (read := key.kind.read(item, reading)) is not ABSENT:
                found[name] = read
        return found

    @property
    def names(self) -> list[str]:
        """The valid keys."""
        return [key.name for key in self.keys if not key.refused]

    def table(self, value: Value) -> Table | None:
        """Return the mapping of a value, if it is one."""
        if isinstance(value, Table):
            return value
        if isinstance(value, Scalar) and self.short and value.kind != NULL:
            return Table({self.short: value}, {self.short: value.spot}, value.spot)
        return None

    def require(self, value: Value, reading: Reading) -> None:
        """Record an error for each missing required key."""
        table = self.table(value)
        for key in self.keys:
            if key.required and (table is None or is_null(table.cells.get(key.name))):
                reading.fault(value, f"{self.what} {key.name!r} is missing", key.help)

    def schema(self) -> Schema:
        """Return the schema of the mapping or its short word."""
        full = self.mapping()
        short = next((key.kind.schema() for key in self.keys if key.name == self.short), None)
        return {"anyOf": [short, full]} if short else full

    def mapping(self, *, complete: bool = False) -> Schema:
        """Return the schema of the mapping; ``complete`` asks for the required keys."""
        properties = {key.name: optional(key.kind.schema(), key.help) for key in self.keys if not key.refused}
        required = [key.name for key in self.keys if key.required] if complete else []
        listed = {"required": required} if required else {}
        return {"type": "object", "properties": properties, "additionalProperties": False, **listed}


def optional(schema: Schema, help: str) -> Schema:
    """Return a schema with its description that also accepts an empty value, which counts as not given."""
    described = {"description": help} if help else {}
    if isinstance(schema.get("anyOf"), list):
        return {**described, **schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if "enum" in schema:
        return {**described, **schema, "enum": [*schema["enum"], None]}
    kinds = schema.get("type", [])
    return {**described, **schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}
