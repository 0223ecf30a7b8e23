"""Stores of other versions: read, brought forward, or refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from pymachine.errors import SchemaTooNew, StoreError
from pymachine.model import Machine
from pymachine.store import Broken
from pymachine.store.schema import MIGRATIONS
from pymachine.store.sqlite import SqliteStore
from unit.stored import CLIENT, execute, machine, mode

NEXT = (*MIGRATIONS, ("CREATE TABLE extra (value)", "INSERT INTO extra VALUES (1)"))


def test_a_store_of_a_newer_version_can_be_read_but_not_written(folder: Path) -> None:
    execute(folder, "PRAGMA user_version = 99")
    with SqliteStore.open(folder) as store:
        read = store.get("node1")
        assert store.records() == [read]
        assert store.secrets("node1") == CLIENT
        assert store.holder("node1") is None
        for write in (
            lambda: store.put(read),
            lambda: store.remove("node1"),
            lambda: store.begin(read, "create"),
            lambda: store.break_lease("node1"),
            lambda: store.lease("node1", "x").__enter__(),
        ):
            with pytest.raises(SchemaTooNew, match="newer pymachine") as caught:
                write()
        assert "upgrade pymachine" in (caught.value.hint or "")
        assert store.get("node1") == read
    assert not list(folder.glob("backup-*"))


def test_a_store_that_is_migrated_under_us_is_not_written_any_more(folder: Path) -> None:
    with SqliteStore.open(folder) as old, SqliteStore.open(folder, migrations=NEXT):
        with pytest.raises(SchemaTooNew):
            old.put(machine("node2"))
        assert old.get("node1").rev == 1


def test_an_old_store_is_backed_up_and_brought_forward(folder: Path) -> None:
    with SqliteStore.open(folder, migrations=NEXT) as store:
        store.put(machine("node2"))
    assert execute(folder, "PRAGMA user_version") == [(len(NEXT),)]
    assert execute(folder, "SELECT value FROM extra") == [(1,)]
    backup = folder / f"backup-v{len(MIGRATIONS)}.db"
    assert mode(backup) == 0o600
    restored = folder.parent / "restored"
    restored.mkdir(mode=0o700)
    shutil.copy(backup, restored / "state.db")
    with SqliteStore.open(restored) as store:
        assert [record.name for record in store.records()] == ["node1"]
        assert store.secrets("node1") == CLIENT


def test_a_store_of_before_there_were_identities_gets_one_for_life(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "old", migrations=MIGRATIONS[:1]) as old:
        old.put(machine("node1"))
    with SqliteStore.open(tmp_path / "old") as store:
        identity = store.identity
        assert store.get("node1").name == "node1"
    with SqliteStore.open(tmp_path / "old") as again:
        assert re.fullmatch("[0-9a-f]{32}", identity)
        assert again.identity == identity


def test_what_drivers_reported_is_kept_under_its_new_name(tmp_path: Path) -> None:
    old = tmp_path / "old"
    with SqliteStore.open(old, migrations=MIGRATIONS[:3]) as store:
        for name in ("node1", "node2", "node3"):
            store.put(machine(name))
    document = execute(old, "SELECT document FROM machine WHERE name = 'node1'")[0][0]
    before = {**json.loads(str(document)), "told": ["198.51.100.7", "2001:db8::1"], "of_a_later_version": "ü"}
    del before["reported_addresses"]
    execute(old, "UPDATE machine SET document = ? WHERE name = 'node1'", json.dumps(before))
    execute(old, "UPDATE machine SET document = '{broken' WHERE name = 'node2'")
    with SqliteStore.open(old) as store:
        assert store.get("node1").reported_addresses == ("198.51.100.7", "2001:db8::1")
        assert store.get("node1").extra == {"of_a_later_version": "ü"}
        assert store.get("node3").reported_addresses == ()
        assert [type(record) for record in store.records()] == [Machine, Broken, Machine]
    [[document]] = execute(old, "SELECT document FROM machine WHERE name = 'node2'")
    assert document == "{broken"


def test_a_migration_that_fails_changes_nothing(folder: Path) -> None:
    failing = (*MIGRATIONS, ("CREATE TABLE extra (value)", "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(StoreError, match="nowhere"):
        SqliteStore.open(folder, migrations=failing)
    assert execute(folder, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert execute(folder, "SELECT name FROM sqlite_master WHERE name = 'extra'") == []
    assert sorted(path.name for path in folder.iterdir()) == [f"backup-v{len(MIGRATIONS)}.db", "state.db"]
