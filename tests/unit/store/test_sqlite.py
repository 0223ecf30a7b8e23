"""The SQLite store's own affairs: its folder, its file, its schema, and what it does with damage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.errors import StoreError
from pymachine.model import Machine, SshAddress
from pymachine.store import Broken
from pymachine.store.database import Database
from pymachine.store.filesystem import file_system, takes_wal
from pymachine.store.names import natural_key
from pymachine.store.schema import APPLICATION_ID, MIGRATIONS
from pymachine.store.sqlite import SqliteStore
from unit.stored import CLIENT, KILLED, execute, killed, machine


@pytest.mark.parametrize("content", [b"this is not a database, whatever its name says" * 100, b"short"])
def test_a_file_that_is_no_database_is_named_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    where = tmp_path / "store"
    where.mkdir(mode=0o700)
    (where / "state.db").write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as caught:
        SqliteStore.open(where)
    assert str(where / "state.db") in caught.value.message
    assert "backup" in (caught.value.hint or "")
    assert (where / "state.db").read_bytes() == content


def test_a_database_that_was_overwritten_in_the_middle_is_an_error(folder: Path) -> None:
    with (folder / "state.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 12288)
    with pytest.raises(StoreError, match="damaged"), SqliteStore.open(folder) as store:
        store.records()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    where = tmp_path / "store"
    where.mkdir(mode=0o700)
    execute(where, "CREATE TABLE theirs (value)")
    before = (where / "state.db").read_bytes()
    with pytest.raises(StoreError, match="database"):
        SqliteStore.open(where)
    assert (where / "state.db").read_bytes() == before


@pytest.mark.parametrize(
    "document",
    ["{", "[]", "null", '"text"', "{}", '{"name": 1}', '{"name": "node1", "id": "x", "driver": "ssh", "phase": "?"}'],
)
def test_one_damaged_record_is_one_error_row(folder: Path, document: str) -> None:
    with SqliteStore.open(folder) as store:
        store.put(machine("node2"))
        execute(folder, "UPDATE machine SET document = ? WHERE name = 'node1'", document)
        broken, good = store.records()
        assert isinstance(broken, Broken)
        assert broken.name == "node1"
        assert isinstance(good, Machine)
        with pytest.raises(StoreError, match="node1 ") as caught:
            store.get("node1")
        assert "`pymachine rm -f node1`" in (caught.value.hint or "")


def test_bytes_that_are_no_text_damage_their_record_alone(folder: Path) -> None:
    with SqliteStore.open(folder) as store:
        store.put(machine("node2"))
        execute(folder, "UPDATE machine SET document = CAST(x'7b22c3287d' AS TEXT) WHERE name = 'node1'")
        assert [type(record) for record in store.records()] == [Broken, Machine]


def test_a_damaged_record_can_be_removed(folder: Path) -> None:
    execute(folder, "UPDATE machine SET document = '{' WHERE name = 'node1'")
    with SqliteStore.open(folder) as store:
        path = store.materialise("node1")
        store.remove("node1")
        assert store.records() == []
        assert not os.path.lexists(path)
    assert execute(folder, "SELECT * FROM secret") == []


def test_unknown_keys_inside_known_parts_survive_our_writes(folder: Path) -> None:
    with SqliteStore.open(folder) as store:
        read = store.put(store.get("node1").with_(ssh=SshAddress("10.0.0.5"), labels={"a": "1", "b": "2"}))
        document = json.loads(str(execute(folder, "SELECT document FROM machine")[0][0]))
        document["ssh"]["certificate"] = "of the future"
        execute(folder, "UPDATE machine SET document = ?", json.dumps(document))
        store.put(read.with_(ssh=SshAddress("10.0.0.6"), labels={"b": "2"}))
    after = json.loads(str(execute(folder, "SELECT document FROM machine")[0][0]))
    assert (after["ssh"]["host"], after["ssh"]["certificate"]) == ("10.0.0.6", "of the future")
    assert after["labels"] == {"b": "2"}


def test_the_columns_say_what_the_document_says(folder: Path) -> None:
    with SqliteStore.open(folder) as store:
        store.put(store.get("node1").with_(driver="none"))
    assert execute(folder, "SELECT name, id, driver, phase, rev FROM machine") == [
        ("node1", "id-of-node1", "none", "requested", 2)
    ]


def test_the_file_says_whose_it_is_and_which_schema(folder: Path) -> None:
    assert execute(folder, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert execute(folder, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert execute(folder, "PRAGMA journal_mode") == [("wal",)]


def test_where_no_log_can_be_shared_the_other_journal_is_used(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database = Database.open(path, wal=lambda folder: False)
    with database.writing() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        connection.execute("INSERT INTO secret SELECT name, 'f', x'00' FROM machine")
    database.close()
    assert not (tmp_path / "state.db-wal").exists()


def test_a_network_file_system_gets_no_log(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:50 / {tmp_path} rw - nfs4 server:/home rw\n")
    assert not takes_wal(tmp_path, mounts)
    assert takes_wal(tmp_path, tmp_path / "no such file")
    assert [path.name for path in tmp_path.iterdir()] == ["mountinfo"]


MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /home rw - nfs4 server:/home rw
24 23 0:22 / /home/u/My\040Files rw master:3 - fuse.sshfs u@h: rw
25 22 0:23 / /home2 rw - xfs /dev/sdb rw
garbage
26 22 0:24 / /home rw - btrfs /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homes", "ext4"),
        ("/home/u/My Files/x", "fuse.sshfs"),
        ("/home2/u", "xfs"),
        ("/home/u", "btrfs"),  # mounted over the other one
    ],
)
def test_the_innermost_latest_mount_tells_the_file_system(path: str, kind: str) -> None:
    assert file_system(path, MOUNTS) == kind


def test_digits_in_names_count_as_numbers() -> None:
    names = ["b", "a10", "a9", "A10b", "10", "9", "a", "a09"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "a09", "a9", "a10", "A10b", "b"]


@pytest.mark.parametrize("size", [0, None], ids=["empty", "gone"])
@pytest.mark.parametrize("left", ["log", "certificates", "ssh"])
def test_a_lost_database_is_no_empty_store(tmp_path: Path, size: int | None, left: str) -> None:
    folder = tmp_path / "store"
    killed(folder)
    with SqliteStore.open(folder) as store:
        if left == "certificates":
            store.put(store.get("node1"), secrets=CLIENT)
            store.materialise("node1")
    if left == "log":
        killed_again = subprocess.run(
            [sys.executable, "-c", KILLED.replace("node1", "node2"), str(folder)], timeout=LIMIT, check=False
        )
        assert killed_again.returncode == -9
    if left == "ssh":
        (folder / "ssh").mkdir()
        (folder / "ssh" / "id-of-node1.known_hosts").touch()
    (folder / "state.db").unlink()
    if size == 0:
        (folder / "state.db").touch()
    log = folder / "state.db-wal"
    before = log.read_bytes() if log.exists() else b""
    with pytest.raises(StoreError, match="log" if left == "log" else "node1"):
        SqliteStore.open(folder)
    assert (log.read_bytes() if log.exists() else b"") == before
