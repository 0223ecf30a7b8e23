"""What daemon.json may hold: keys by one table, for inventories, files and flags alike."""

from __future__ import annotations

from typing import Any

import pytest

from pymachine.engine.daemon_keys import KEYS, NUMBERS, ValueShape, check_keys
from pymachine.engine.exec_start import SWITCHES
from pymachine.engine.options import LIST_KEYS, wanted_config
from pymachine.errors import UsageFault
from pymachine.model import EngineSpec

GOOD: dict[ValueShape, Any] = {
    ValueShape.TEXT: "a", ValueShape.TRUTH: True, ValueShape.NUMBER: 1, ValueShape.SIZE: "64M", ValueShape.TEXTS: ["https://a"],
    ValueShape.TABLE: {"a": "b"}, ValueShape.TABLES: [{"base": "10.0.0.0/8", "size": 24}],
}  # fmt: skip


# Shapes of keys that a value of another shape's example is right for.
LIKE = {
    ValueShape.TEXT: (ValueShape.TEXT, ValueShape.SIZE), ValueShape.SIZE: (ValueShape.TEXT, ValueShape.SIZE),
    ValueShape.NUMBER: (ValueShape.NUMBER, ValueShape.SIZE),
}  # fmt: skip


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_takes_its_shape_and_no_other(key: str) -> None:
    for shape, value in GOOD.items():
        fits = KEYS[key] in LIKE.get(shape, (shape,))
        if key == "insecure-registries" and shape is ValueShape.TEXTS:
            value = ["a:5000"]
        if fits:
            check_keys({key: value})
        else:
            with pytest.raises(UsageFault, match=f"key '{key}' of the daemon's configuration is not"):
                check_keys({key: value})
    check_keys({key: None})


@pytest.mark.parametrize(
    ("key", "meant"),
    [("hots", "hosts"), ("registry-mirror", "registry-mirrors"), ("log-opt", "log-opts"), ("dns-opt", "dns-opts"),
     ("live_restore", "live-restore"), ("Debug", "debug"), ("max-concurent-downloads", "max-concurrent-downloads")],
)  # fmt: skip
def test_a_key_that_is_nearly_one_is_refused(key: str, meant: str) -> None:
    with pytest.raises(UsageFault) as raised:
        check_keys({key: 1})
    assert raised.value.hint == f"did you mean {meant}?"


@pytest.mark.parametrize("key", ["future-feature", "nri-opts", "time-namespaces"])
def test_a_key_of_a_newer_engine_is_left_to_it(key: str) -> None:
    check_keys({key: {"enable": True}})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"registry-mirrors": ["example.com:8080"]}, "registry-mirrors: 'example.com:8080' is not a valid URL"),
        ({"insecure-registries": ["http://a"]}, "has a scheme"),
        ({"mtu": "1400"}, "is not a whole number: '1400'"),
        ({"mtu": True}, "is not a whole number: True"),
        ({"debug": "true"}, "is not true or false"),
        ({"dns": "192.0.2.1"}, "is not a list of texts"),
        ({"labels": [1]}, "is not a list of texts"),
    ],
)
def test_the_daemons_section_is_checked_as_the_options_are(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        wanted_config(EngineSpec(config=config), "fake")


def test_options_are_held_to_the_same_table() -> None:
    with pytest.raises(UsageFault, match="registry-mirrors"):
        wanted_config(EngineSpec(opts=("registry-mirror=example.com:8080",)), "fake")
    with pytest.raises(UsageFault, match="dockerd knows no key 'log-drivr'"):
        wanted_config(EngineSpec(opts=("log-drivr=local",)), "fake")
    assert wanted_config(EngineSpec(opts=("swarm-raft-election-tick=20",)), "fake")["swarm-raft-election-tick"] == 20
    assert "mtu" in NUMBERS


def test_the_tables_of_flags_agree_with_that_of_keys() -> None:
    assert {key for key in LIST_KEYS.values() if KEYS.get(key) is not ValueShape.TEXTS} == set()
    flags_alone = {"validate", "version", "help"}
    assert {flag for flag in SWITCHES - flags_alone if KEYS.get(flag) is not ValueShape.TRUTH} == set()
