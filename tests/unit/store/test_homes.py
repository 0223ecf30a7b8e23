"""Whether another store lives: yes, no, or nobody can tell, and never no for one that is only out of reach."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pymachine.store.homes import home_of, lives
from pymachine.store.sqlite import SqliteStore


def a_store(folder: Path) -> tuple[str, str]:
    """Make a store; return its identity and its home."""
    with SqliteStore.open(folder) as store:
        return store.identity, home_of(store.folder)


def test_a_store_lives_where_it_is_and_where_it_was_renamed_to(tmp_path: Path) -> None:
    identity, home = a_store(tmp_path / "pymachine")
    assert lives(identity, home) is True
    (tmp_path / "pymachine").rename(tmp_path / "pymachine.bak")
    assert lives(identity, home) is True
    a_store(tmp_path / "pymachine")
    assert lives(identity, home) is True


def test_a_copy_of_the_store_that_asks_is_another_one(tmp_path: Path) -> None:
    identity, home = a_store(tmp_path / "one")
    assert lives(identity, home, but=tmp_path / "one") is False
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert lives(identity, home, but=tmp_path / "one") is True
    assert lives(identity, home, but=tmp_path / "two") is True
    shutil.rmtree(tmp_path / "one")
    assert lives(identity, home, but=tmp_path / "two") is False


def test_a_store_whose_folder_is_gone_or_is_anothers_is_gone(tmp_path: Path) -> None:
    identity, home = a_store(tmp_path / "pymachine")
    shutil.rmtree(tmp_path / "pymachine")
    assert lives(identity, home) is False
    other, _ = a_store(tmp_path / "pymachine")
    assert other != identity
    assert lives(identity, home) is False
    (tmp_path / "pymachine/state.db").unlink()
    for log in ("state.db-wal", "state.db-shm"):
        (tmp_path / "pymachine" / log).unlink(missing_ok=True)
    assert lives(identity, home) is False


def test_what_is_only_out_of_reach_is_not_gone(tmp_path: Path) -> None:
    identity, home = a_store(tmp_path / "disk/pymachine")
    shutil.rmtree(tmp_path / "disk")  # as where a file system is not mounted
    assert lives(identity, home) is None


def test_a_database_without_content_or_beside_its_log_or_no_database_at_all_is_not_gone(tmp_path: Path) -> None:
    identity, home = a_store(tmp_path / "pymachine")
    database = tmp_path / "pymachine/state.db"
    database.write_bytes(b"")
    assert lives(identity, home) is None
    database.write_bytes(b"no database" * 100)
    assert lives(identity, home) is None
    database.unlink()
    (tmp_path / "pymachine/state.db-wal").write_bytes(b"records")
    assert lives(identity, home) is None


def test_an_old_store_without_an_identity_is_not_gone(tmp_path: Path) -> None:
    identity, home = a_store(tmp_path / "pymachine")
    with closing(sqlite3.connect(tmp_path / "pymachine/state.db")) as connection, connection:
        connection.execute("DROP TABLE identity")
    assert lives(identity, home) is None


def test_a_neighbour_that_cannot_be_read_may_be_it(tmp_path: Path) -> None:
    identity, home = a_store(tmp_path / "pymachine")
    shutil.rmtree(tmp_path / "pymachine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/state.db").write_bytes(b"no database" * 100)
    assert lives(identity, home) is not False


def test_a_folder_that_cannot_be_looked_at_is_not_gone(tmp_path: Path) -> None:
    identity, home = a_store(tmp_path / "pymachine")
    shutil.rmtree(tmp_path / "pymachine")
    (tmp_path / "pymachine").symlink_to("pymachine")
    assert lives(identity, home) is None


@pytest.mark.parametrize("at", [0, 1, 2])
def test_another_computer_and_what_is_not_mounted_are_nothing_that_we_can_tell_of(tmp_path: Path, at: int) -> None:
    identity, home = a_store(tmp_path / "pymachine")
    shutil.rmtree(tmp_path / "pymachine")
    parts = json.loads(home)
    parts[at] = "elsewhere"
    assert lives(identity, json.dumps(parts)) is None


@pytest.mark.parametrize("home", ["", "{", "[]", "[1, 2, 3]", '"abc"', "null", '["a", "b"]', "[" * 500])
def test_a_mark_that_says_nothing_tells_nothing(home: str) -> None:
    assert lives("0" * 32, home) is None
    assert lives("", home) is None
