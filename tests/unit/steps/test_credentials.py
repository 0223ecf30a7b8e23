"""Credentials of one machine: given as options, kept among its secrets, given to its driver, seen nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.create import create
from pymachine.create_request import CreateRequest
from pymachine.driver import Driver, credential
from pymachine.errors import DriverError, PymachineError, StoreError
from pymachine.model import State
from pymachine.override import override
from pymachine.probe import probe_machines
from pymachine.remove import remove
from pymachine.steps.credentials import FILE
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_driver import FakeCloud, FakeDriver, FakeOptions
from unit.world import World

KEY, TOKEN = "AKIA-of-tests", "hidden-token"


@dataclass(frozen=True, slots=True)
class KeyedOptions(FakeOptions):
    fake_key: str | None = field(
        default=None, repr=False, metadata=credential("key", flag="--fake-key", metavar="KEY")
    )
    fake_token: str | None = field(
        default=None, repr=False, metadata=credential("token", flag="--fake-token", metavar="TOKEN")
    )


class KeyedDriver(FakeDriver):
    """Notes the credentials that it is given, by machine."""

    options = KeyedOptions
    given: dict[str, Mapping[str, str]]

    def use_credentials(self, machine_id: str, credentials: Mapping[str, str]) -> None:
        self.given[machine_id] = credentials


def keyed(cloud: FakeCloud, given: dict[str, Mapping[str, str]]) -> type[Driver]:
    kind: type[Driver] = type("KeyedDriver", (cloud.made_of(KeyedDriver),), {"given": given})
    return kind


class KeyedWorld(World):
    """A world with that driver. ``given`` is what it was given since it was emptied."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, preexisting=False)
        self.given: dict[str, Mapping[str, str]] = {}

    @override
    def _load(self, name: str) -> type[Driver]:
        return keyed(self.cloud, self.given)

    def made_with(self, **options: Any) -> dict[str, Any]:
        machine = create(CreateRequest("node1", "fake", KeyedOptions(**options)), self.tools)
        return {machine.id: options}


@pytest.fixture
def keyed_world(tmp_path: Path) -> KeyedWorld:
    return KeyedWorld(tmp_path)


def test_every_later_verb_gets_what_the_create_was_given(keyed_world: KeyedWorld) -> None:
    expected = keyed_world.made_with(fake_key=KEY, fake_token=TOKEN)
    assert keyed_world.given == expected
    keyed_world.given.clear()
    machine = keyed_world.store.get("node1")
    probe_machines([machine], keyed_world.tools, 5.0)
    remove("node1", keyed_world.tools)
    assert keyed_world.given == expected


def test_the_record_has_none_of_them(keyed_world: KeyedWorld) -> None:
    keyed_world.made_with(fake_key=KEY)
    machine = keyed_world.store.get("node1")
    assert machine.options.keys() & {"fake_key", "fake_token"} == set()
    assert KEY not in repr(machine)
    assert json.loads(keyed_world.store.secrets("node1")[FILE]) == {"fake_key": KEY}


def test_a_machine_without_credentials_leaves_the_search_to_the_driver(keyed_world: KeyedWorld) -> None:
    keyed_world.made_with()
    assert keyed_world.given == {}
    assert FILE not in keyed_world.store.secrets("node1")


def test_a_create_that_goes_on_has_them_from_the_store(keyed_world: KeyedWorld) -> None:
    keyed_world.cloud.fail("create", DriverError("no room"))
    with pytest.raises(PymachineError):
        keyed_world.made_with(fake_key=KEY)
    keyed_world.given.clear()
    (found,) = keyed_world.made_with()
    assert keyed_world.given == {found: {"fake_key": KEY}}


@pytest.mark.parametrize("content", [b"", b"{}x", b"[]", b'{"fake_key": 1}'])
def test_credentials_that_are_missing_are_an_error_and_no_other_search(
    content: bytes, keyed_world: KeyedWorld
) -> None:
    keyed_world.made_with(fake_key=KEY)
    keyed_world.store.put(keyed_world.store.get("node1"), secrets={FILE: content})
    machine = keyed_world.store.get("node1")
    with pytest.raises(StoreError):
        keyed_world.tools.driver_of(machine)
    with pytest.raises(StoreError):
        remove("node1", keyed_world.tools)
    assert remove("node1", keyed_world.tools, force=True).left_behind


def test_no_output_and_no_file_but_the_store_has_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cloud = FakeCloud(certificates=dict.fromkeys(("ca.pem", "cert.pem", "key.pem"), b"x\n"))
    ask = World(tmp_path).engine.ask
    wiring = Wiring(load_driver=lambda _: keyed(cloud, {}), driver_names=lambda: ["fake"], ask_engine=ask)
    start = ["-D", "-s", str(tmp_path / "store")]
    created = ["create", "-d", "fake", "--fake-key", KEY, "--driver-opt", f"fake_token={TOKEN}", "node1"]
    assert main([*start, *created], wiring=wiring) == 0
    for words in (["inspect", "node1"], ["ls", "--json"], ["inspect", "-f", "json", "node1"], ["env", "node1"]):
        assert main([*start, *words], wiring=wiring) == 0
    out, err = capfd.readouterr()
    assert State.RUNNING in out
    assert not any(text in out + err for text in (KEY, TOKEN))
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    store = SqliteStore.open(tmp_path / "store")
    assert json.loads(store.secrets("node1")[FILE]) == {"fake_key": KEY, "fake_token": TOKEN}
    store.close()
