"""The JSON Schema agrees with the reader: on the keys, on good inventories, on bad ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, cast

import pytest
import yaml

from pymachine.fleet.inventory.driver_keys import Drivers
from pymachine.fleet.inventory.json_schema import schema_of
from pymachine.fleet.inventory.starter import starter
from pymachine.model import EngineSpec
from unit.inventories import NAMES, faults, read, surroundings

jsonschema = pytest.importorskip("jsonschema")

GOOD = [
    "fleet: f\n",
    "fleet: f\ndefaults:\nmachines:\n",
    "fleet: 7\nx-a: {anything: [1]}\nmachines: [{name: 7, driver: fake}]\n",
    "fleet: f\nmachines: [{name: 'n{1..2}', driver: fake, fake: {size: 2, tags: [a]}, overrides: {n1: {}}}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, fake: {size: '${N:-2}', tags: a, zone: west}, swarm: none}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, engine: {env: {A: {from_file: x}}, version: 26.1}}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, swarm: {role: manager}}]\nswarm: {heartbeat: 5s}\n",
    "fleet: f\nmachines: [{name: n, driver: fake, labels: {a: 1, b: true, c: null}, swarm: ~, groups: front}]\n",
]
BAD = [
    "flet: f\n",
    "fleet: [f]\n",
    "fleet: f\nmachines: {}\n",
    "fleet: f\nmachines: [{driver: fake}]\n",
    "fleet: f\nmachines: [{name: n, driver: nosuch}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, fake: {siez: 1}}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, fake: {size: big}}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, fake: {zone: north}}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, fake: {spot: 3}}]\n",
    "fleet: f\nmachines: [{name: n, driver: cloud, cloud: {password: x}}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, engine: {port: 0}}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, engine: {env: {A: {file: x}}}}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, swarm: boss}]\n",
    "fleet: f\nmachines: [{name: n, driver: fake, swarm: manager}]\nswarm: {subnet_size: 40}\n",
    "fleet: f\nstacks: [{name: s}]\n",
    "fleet: f\nhooks: {never: x}\n",
    "fleet: f\ndefaults: {name: n}\n",
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return schema_of(Drivers(surroundings()))


def complaints(schema: dict[str, Any], text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


def test_it_is_a_schema_of_its_draft(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", GOOD)
def test_a_good_inventory_is_good_to_both(schema: dict[str, Any], text: str) -> None:
    files = surroundings()
    files.paths.texts["/inv/x"] = ""  # type: ignore[attr-defined]
    read(text, around=files)
    assert complaints(schema, text) == []


@pytest.mark.parametrize("text", BAD)
def test_a_bad_inventory_is_bad_to_both(schema: dict[str, Any], text: str) -> None:
    assert faults(text)
    assert complaints(schema, text)


def test_the_starter_is_good(schema: dict[str, Any]) -> None:
    assert complaints(schema, starter("shop")) == []


def test_every_key_of_the_schema_is_known_to_the_reader(schema: dict[str, Any]) -> None:
    """Give each of them a value that fits nowhere: the fault must be about the value, never an unknown key."""
    for name, part in schema["$defs"].items():
        for key in part.get("properties", {}):
            if name != "secret":
                text = _with(name, f"{key}: [[[]]]")
                assert not [line for line in faults_or_none(text) if f"unknown key {key!r}" in line], (name, key)


def faults_or_none(text: str) -> list[str]:
    try:
        read(text)
    except Exception as error:  # noqa: BLE001 - whatever it is, its findings are looked at
        return [finding.line for finding in getattr(error, "findings", ())]
    return []


def _with(section: str, pair: str) -> str:
    entry = {
        "machine": f"machines: [{{driver: fake, {pair}}}]",
        "override": f"machines: [{{name: n, overrides: {{n: {{{pair}}}}}}}]",
        "stack": f"stacks: [{{{pair}}}]",
    }.get(section, f"{section}: {{{pair}}}")  # fmt: skip
    if section.startswith("driver-"):
        entry = f"defaults: {{{section.removeprefix('driver-')}: {{{pair}}}}}"
    return f"fleet: f\n{entry}\n"


def test_every_field_of_the_engine_has_a_key(schema: dict[str, Any]) -> None:
    engine = next(part for part in _objects(schema["$defs"]["machine"]["properties"]["engine"]))
    renamed = {"config": "daemon", "sans": "tls_sans"}
    wanted = {renamed.get(field.name, field.name) for field in fields(EngineSpec)} - {"install_script"}
    assert set(engine["properties"]) == wanted


def _objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "properties" in schema:
        yield schema
    for part in cast("list[dict[str, Any]]", schema.get("anyOf", [])):
        yield from _objects(part)


def test_every_installed_driver_has_a_section(schema: dict[str, Any]) -> None:
    sections = {name for name in schema["$defs"] if name.startswith("driver-")}
    assert sections == {f"driver-{name}" for name in NAMES if name != "absent"}
    assert set(schema["$defs"]["driver-fake"]["properties"]) == {"address", "size", "zone", "tags", "spot", "account"}
    assert "password" not in schema["$defs"]["driver-cloud"]["properties"]


def test_a_driver_without_its_extra_may_have_any_section(schema: dict[str, Any]) -> None:
    assert complaints(schema, "fleet: f\ndefaults: {absent: {what: ever}}\n") == []
