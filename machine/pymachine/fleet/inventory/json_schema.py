"""The JSON Schema of inventories, made from the reader's tables, for completion and checks in editors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pymachine.errors import DriverMissing
from pymachine.fleet.inventory.driver_keys import Drivers
from pymachine.fleet.inventory.fields import EXPRESSION, Schema
from pymachine.fleet.inventory.keys import COMMON, HOOKS, STACK, SWARM, TOP
from pymachine.fleet.inventory.sections import optional

DRAFT = "https://json-schema.org/draft/2020-12/schema"
NULL: Schema = {"type": "null"}

SECRET: Schema = {
    "description": "A value that is kept outside the file.",
    "anyOf": [
        {
            "type": "object",
            "properties": {"from_file": {"type": "string", "description": "File that holds it."}},
            "required": ["from_file"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "from_command": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "description": "Command that prints it: a list of words, run without a shell.",
                }
            },
            "required": ["from_command"],
            "additionalProperties": False,
        },
    ],
}


def schema_of(drivers: Drivers) -> Schema:
    """Return the schema of inventories with these drivers.

    A driver whose extra is not installed may have a section too, whose content is not checked.
    """
    known = _known(drivers)
    common = _properties(drivers.names)
    described = {key: {"description": text, **_top(key)} for key, text in TOP.items()}
    return {
        "$schema": DRAFT,
        "title": "pymachine inventory",
        "type": "object",
        "properties": described,
        "patternProperties": {"^x-": {"description": "Ignored; for YAML anchors."}},
        "additionalProperties": False,
        "$defs": {
            "expression": EXPRESSION,
            "secret": SECRET,
            "defaults": _empty_too(_mapping({**common, **known})),
            "override": _empty_too(_mapping({**common, **known})),
            "machine": _machine({**common, **known}),
            "swarm": _empty_too(SWARM.mapping()),
            "stack": STACK.mapping(complete=True),
            "hooks": _empty_too(HOOKS.mapping()),
            **{_driver_def(name): section for name, section in _sections(drivers)},
        },
    }


def _top(key: str) -> dict[str, Any]:
    tops: dict[str, dict[str, Any]] = {
        "fleet": {"type": ["string", "number"]},
        "defaults": _ref("defaults"),
        "machines": {"type": ["array", "null"], "items": _ref("machine")},
        "swarm": _ref("swarm"),
        "stacks": {"type": ["array", "null"], "items": _ref("stack")},
        "hooks": _ref("hooks"),
    }
    return tops[key]


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _properties(names: Iterable[str]) -> dict[str, Any]:
    common = {key.name: optional(key.kind.schema(), key.help) for key in COMMON}
    expression = _ref("expression")
    common["driver"] = {"description": COMMON[0].help, "anyOf": [{"enum": list(names)}, expression, NULL]}
    return common


def _known(drivers: Drivers) -> dict[str, Any]:
    there = {name for name, _ in _sections(drivers)}
    return {
        name: _ref(_driver_def(name)) if name in there else {"type": ["object", "null"]} for name in drivers.names
    }


def _sections(drivers: Drivers) -> list[tuple[str, Schema]]:
    found = []
    for name in drivers.names:
        try:
            section = drivers.find(name).section.mapping()
        except DriverMissing:
            continue
        found.append((name, _empty_too({**section, "description": f"Options of driver {name}."})))
    return found


def _driver_def(name: str) -> str:
    return f"driver-{name}"


def _empty_too(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _mapping(properties: dict[str, Any]) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _machine(properties: dict[str, Any]) -> Schema:
    own = {
        "name": {
            "type": ["string", "number"],
            "description": "Name of the machine, or a range of machines: web-{01..20}, {eu,us}-db.",
        },
        "overrides": {
            "type": ["object", "null"],
            "additionalProperties": _ref("override"),
            "description": "Settings of single machines of the range, by their names.",
        },
    }
    return {**_mapping({**own, **properties}), "required": ["name"]}
