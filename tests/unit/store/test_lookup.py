"""The fast way to one record: what it reads, and how little it loads."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.documents import to_document
from pymachine.errors import StoreError
from pymachine.model import Machine
from pymachine.store.lookup import client_path, lookup, names
from pymachine.store.sqlite import SqliteStore

HEAVY = {
    "dataclasses", "typing", "pathlib", "inspect", "logging", "click", "rich", "cryptography", "paramiko", "jinja2",
    "ssl", "socket", "subprocess", "tempfile", "pymachine.model", "pymachine.errors", "pymachine.store.protocol",
}  # fmt: skip


def machine(name: str = "node1") -> Machine:
    return Machine(name=name, id=f"id-of-{name}", driver="ssh")


@pytest.mark.parametrize("where", ["store", "with blank", "50%25", "what?", "a#b", "ö"])
def test_the_document_is_what_the_store_holds(tmp_path: Path, where: str) -> None:
    with SqliteStore.open(tmp_path / where) as store:
        saved = store.put(machine("Node1"))
        assert lookup(str(tmp_path / where), "node1") == to_document(saved)
        assert lookup(str(tmp_path / where), "node2") is None
    assert lookup(str(tmp_path / where), "NODE1") == to_document(saved)


def test_a_relative_folder_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteStore.open(tmp_path / "store") as store:
        store.put(machine())
    monkeypatch.chdir(tmp_path)
    assert (lookup("store", "node1") or {})["name"] == "node1"


def test_where_there_is_no_store_there_is_nothing_and_nothing_is_made(tmp_path: Path) -> None:
    assert lookup(str(tmp_path / "store"), "node1") is None
    assert names(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_names_come_in_natural_order(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "store") as store:
        for name in ("node10", "node2", "Alpha"):
            store.put(machine(name))
    assert names(str(tmp_path / "store")) == ["Alpha", "node2", "node10"]


def test_the_client_path_is_the_stores(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "store") as store:
        assert client_path(str(store.folder), "node1") == str(store.client_folder("node1"))


def test_a_writer_at_work_does_not_hold_up_a_reader(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "store") as store:
        store.put(machine())
        with closing(sqlite3.connect(tmp_path / "store" / "state.db", isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("DELETE FROM machine")
            assert lookup(str(store.folder), "node1") is not None


def test_a_store_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "store") as store:
        store.put(machine())
    code = (
        "import json, os, sys; from pymachine.store.lookup import lookup\n"
        "import pymachine.store.errors, pymachine.strict_json\n"
        "if os.geteuid() == 0: os.chroot(sys.argv[1]); os.chdir('/'); os.setgroups([]); os.setgid(65534)\n"
        "if os.geteuid() == 0: os.setuid(65534); sys.argv[1] = '/'\n"
        "print(json.dumps(lookup(sys.argv[1] + '/store', 'node1')))"
    )
    for path in (tmp_path / "store" / "state.db", tmp_path / "store", tmp_path):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=LIMIT, check=False
        )
    finally:
        tmp_path.chmod(0o700)
        (tmp_path / "store").chmod(0o700)
    assert json.loads(done.stdout or "null") is not None, done.stderr
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["state.db"]


@pytest.mark.parametrize(("document", "said"), [("{", "node1 "), ("[]", "JSON object"), (None, " read")])
def test_a_damaged_record_is_an_error_that_names_it(tmp_path: Path, document: str | None, said: str) -> None:
    with SqliteStore.open(tmp_path / "store") as store:
        store.put(machine())
        with closing(sqlite3.connect(tmp_path / "store" / "state.db", isolation_level=None)) as connection:
            connection.execute("UPDATE machine SET document = ?", (document if document else b"\x00\xff",))
        with pytest.raises(StoreError, match=said):
            lookup(str(store.folder), "node1")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="damaged"):
        lookup(str(tmp_path), "node1")


def test_a_lookup_loads_only_what_it_needs(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "store") as store:
        store.put(machine())
    code = (
        "import sys; before = set(sys.modules)\n"
        "from pymachine.store.location import default_location\n"
        "from pymachine.store.lookup import client_path, lookup\n"
        "folder = default_location({'MACHINE_STORAGE_PATH': sys.argv[1]})\n"
        "assert lookup(folder, 'node1') and client_path(folder, 'node1')\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-S", "-c", code, str(tmp_path / "store")]
    root = str(Path(__file__).parents[3] / "machine")
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT, check=True, env={**os.environ, "PYTHONPATH": root}
    )
    loaded = set(done.stdout.split())
    assert not loaded & HEAVY
    assert {name for name in loaded if name.startswith("pymachine.")} == {
        "pymachine.store", "pymachine.store.location", "pymachine.store.lookup", "pymachine.store.schema",
        "pymachine.strict_json",
    }  # fmt: skip
