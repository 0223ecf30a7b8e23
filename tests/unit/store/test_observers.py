"""Who watches a store hears of every record that this process writes, and can prevent a new one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pymachine.errors import CheckFailed, Conflict
from pymachine.model import Machine, Phase
from pymachine.store.sqlite import SqliteStore


class Witness:
    """Keeps what it hears; refuses new records of one name."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, object]] = []

    def adding(self, machine: Machine) -> None:
        if machine.name == "refused":
            raise CheckFailed("not this one")
        self.heard.append(("adding", machine.name, machine.rev))

    def written(self, machine: Machine) -> None:
        self.heard.append(("written", machine.name, machine.rev))

    def removed(self, name: str, machine_id: str) -> None:
        self.heard.append(("removed", name, machine_id))


def test_each_write_is_heard_once_and_in_order(tmp_path: Path) -> None:
    witness = Witness()
    with SqliteStore.open(tmp_path / "store") as store:
        store.observe(witness)
        saved = store.put(Machine(name="Web", id="7", driver="ssh"))
        store.put(saved.with_(phase=Phase.READY))
        store.remove("web")
        store.remove("web")
    *writes, removal = witness.heard
    assert writes == [("adding", "Web", 0), ("written", "Web", 1), ("written", "Web", 2)]
    assert removal == ("removed", "Web", "7")


def test_a_record_that_is_refused_or_not_written_is_not_heard_of_as_written(tmp_path: Path) -> None:
    witness = Witness()
    with SqliteStore.open(tmp_path / "store") as store:
        store.put(Machine(name="web", id="1", driver="ssh"))
        store.observe(witness)
        with pytest.raises(CheckFailed):
            store.put(Machine(name="refused", id="2", driver="ssh"))
        with pytest.raises(Conflict):
            store.put(Machine(name="web", id="3", driver="ssh", rev=7))
        assert store.find("refused") is None
    assert witness.heard == []


def test_the_removal_of_a_damaged_record_tells_its_id(tmp_path: Path) -> None:
    witness = Witness()
    with SqliteStore.open(tmp_path / "store") as store:
        store.put(Machine(name="web", id="1", driver="ssh"))
        with closing(sqlite3.connect(tmp_path / "store/state.db", isolation_level=None)) as connection:
            connection.execute("UPDATE machine SET document = '{'")
        store.observe(witness)
        store.remove("web")
    assert witness.heard == [("removed", "web", "1")]
