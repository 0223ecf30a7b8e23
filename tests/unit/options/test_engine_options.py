"""An engine option is declared once, and is then wherever options are."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import pymachine
from pymachine.cli.app import App
from pymachine.cli.commands.create import create
from pymachine.cli.commands.provision import provision
from pymachine.cli.dependencies import Wiring
from pymachine.engine.options import wanted_config
from pymachine.fleet.inventory.driver_keys import Drivers
from pymachine.fleet.inventory.json_schema import schema_of
from pymachine.model import EngineSpec
from pymachine.options.fields import OptionField, option_fields
from pymachine.testing.fake_driver import FakeOptions
from unit.inventories import read, surroundings

# A value of each kind, and what comes of it: in words of a command line, in an inventory, in EngineSpec.
SAMPLES: dict[str, tuple[str, str, Any]] = {
    "install": ("distro", "distro", "distro"),
    "version": ("26.1", "26.1", "26.1"),
    "channel": ("test", "test", "test"),
    "repo_url": ("https://m.example", "https://m.example", "https://m.example"),
    "port": ("2377", "2377", 2377),
    "opts": ("mtu=1400", "[mtu=1400]", ("mtu=1400",)),
    "labels": ("rack=7", "{rack: 7}", ("rack=7",)),
    "env": ("A=b", "{A: b}", ("A=b",)),
    "insecure_registries": ("r:5000", "['r:5000']", ("r:5000",)),
    "registry_mirrors": ("https://m.example", "[https://m.example]", ("https://m.example",)),
    "storage_driver": ("btrfs", "btrfs", "btrfs"),
    "http_proxy": ("http://p:3128", "http://p:3128", "http://p:3128"),
    "https_proxy": ("http://p:3128", "http://p:3128", "http://p:3128"),
    "no_proxy": ("a,b", "[a, b]", ("a", "b")),
    "sans": ("a.example", "a.example", ("a.example",)),
}
DECLARED = option_fields(EngineSpec)
OPTIONS = pytest.mark.parametrize("option", DECLARED, ids=lambda option: option.name)
CODE = Path(pymachine.__path__[0])


@OPTIONS
def test_an_option_is_an_option_of_create_and_of_provision(option: OptionField) -> None:
    for command in (create, provision):
        flags = {flag for param in command.params if param.name == option.name for flag in param.opts}
        assert flags == set(option.flags)


@OPTIONS
def test_an_option_is_completed(option: OptionField) -> None:
    context = provision.make_context("provision", [], obj=App(Wiring()), resilient_parsing=True)
    assert option.flag in {item.value for item in provision.shell_complete(context, option.flag)}


@OPTIONS
def test_an_option_is_a_key_of_inventories_and_of_their_schema(option: OptionField) -> None:
    keys = schema_of(Drivers(surroundings()))["$defs"]["defaults"]["properties"]["engine"]["properties"]
    assert keys[option.key]["description"].startswith(option.help)


@OPTIONS
def test_both_ways_come_to_the_same(option: OptionField) -> None:
    from pymachine.cli.engine_options import spec_changes

    if option.name not in SAMPLES:
        assert option.name in ("config", "set_hostname"), "give a sample of it"
        return
    word, written, value = SAMPLES[option.name]
    given = provision.make_context("provision", [option.flag, word], obj=App(Wiring())).params
    assert spec_changes(given)[option.name] == value
    text = f"fleet: f\nmachines: [{{name: n, driver: fake, engine: {{{option.key}: {written}}}}}]\n"
    assert getattr(read(text).fleet.machines[0].engine, option.name) == value


@pytest.mark.parametrize("option", [o for o in DECLARED if o.daemon_key], ids=lambda option: option.name)
def test_an_option_of_the_daemon_is_in_its_configuration(option: OptionField) -> None:
    value = SAMPLES[option.name][2]
    wanted = wanted_config(EngineSpec(**{option.name: value}), "fake")[option.daemon_key or ""]
    assert wanted == value or set(value) <= set(wanted)


def test_every_field_is_an_option_or_goes_with_one() -> None:
    assert {field.name for field in fields(EngineSpec)} - {o.name for o in DECLARED} == {"install_script"}
    assert not {o.flag for o in DECLARED} & {"--" + f.name.replace("_", "-") for f in fields(FakeOptions)}


def test_type_hints_are_read_in_one_place() -> None:
    readers = {"get_type_hints", "get_args", "get_origin"}
    found = {
        str(path.relative_to(CODE))
        for path in CODE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name | ast.Attribute)
        and (getattr(node, "id", "") or getattr(node, "attr", "")) in readers
    }
    assert found == {"type_hints.py"}
