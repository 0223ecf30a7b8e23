"""The folder of a store: where it is, who may use it, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.errors import StoreError
from pymachine.store.location import default_location
from pymachine.store.sqlite import SqliteStore
from unit.stored import CLIENT, machine, mode


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"MACHINE_STORAGE_PATH": "/srv/pm", "XDG_STATE_HOME": "/x", "HOME": "/home/u"}, "/srv/pm"),
        ({"MACHINE_STORAGE_PATH": "", "XDG_STATE_HOME": "/x", "HOME": "/home/u"}, "/x/pymachine"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/u"}, "/home/u/.local/state/pymachine"),
        ({"HOME": "/home/u"}, "/home/u/.local/state/pymachine"),
    ],
)
def test_the_default_folder_follows_the_environment(environ: dict[str, str], expected: str) -> None:
    assert default_location(environ) == expected


def test_a_relative_storage_path_means_the_same_after_cd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_location({"MACHINE_STORAGE_PATH": "pm"}) == str(tmp_path / "pm")


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_without_a_home_the_error_says_what_to_set(environ: dict[str, str]) -> None:
    with pytest.raises(StoreError, match="HOME") as caught:
        default_location(environ)
    assert "MACHINE_STORAGE_PATH" in (caught.value.hint or "")


def test_folder_and_files_are_their_owners_alone(tmp_path: Path) -> None:
    former = os.umask(0o002)
    try:
        with SqliteStore.open(tmp_path / "a" / "store") as store:
            store.put(machine(), secrets=CLIENT)
            store.materialise("node1")
            found = {path.name: mode(path) for path in store.folder.iterdir()}
    finally:
        os.umask(former)
    assert mode(tmp_path / "a" / "store") == 0o700
    assert found == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600, "certs": 0o700}


@pytest.mark.parametrize("content", ["nothing", "a store"])
def test_an_own_folder_is_closed_to_others(tmp_path: Path, content: str) -> None:
    where = tmp_path / "store"
    if content == "nothing":
        where.mkdir()
    else:
        SqliteStore.open(where).close()
        (where / "state.db").chmod(0o644)
    where.chmod(0o755)
    with SqliteStore.open(where):
        assert mode(where) == 0o700
        assert mode(where / "state.db") == 0o600


@pytest.mark.parametrize("bits", [0o755, 0o1777])
def test_a_folder_for_other_things_is_refused_and_left_alone(tmp_path: Path, bits: int) -> None:
    where = tmp_path / "home"
    where.mkdir()
    if bits == 0o755:
        (where / "letter.txt").touch()
    where.chmod(bits)
    with pytest.raises(StoreError, match="other users") as caught:
        SqliteStore.open(where)
    assert f"chmod 700 {where}" in (caught.value.hint or "")
    assert mode(where) == bits
    assert not (where / "state.db").exists()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "store").touch()
    with pytest.raises(StoreError, match=" file ") as caught:
        SqliteStore.open(tmp_path / "store" / below)
    assert "--storage-path" in (caught.value.hint or "")


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        Path(base).chmod(0o755)
        where = Path(base) / "store"
        where.mkdir()
        if os.geteuid() == 0:  # root may write anywhere: become somebody else, once everything is imported
            os.chown(where, 65534, 65534)
        where.chmod(0o500)
        code = (
            "import os, pathlib, sys; from pymachine.store.sqlite import SqliteStore\n"
            "from pymachine.errors import StoreError\n"
            "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "try: SqliteStore.open(pathlib.Path(sys.argv[1]))\n"
            "except StoreError as error: print(error.message, '|', error.hint)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(where)], capture_output=True, text=True, timeout=LIMIT, check=False
        )
        assert f"{where} " in done.stdout, done.stderr


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with SqliteStore.open(tmp_path / "a" / "b" / "store") as store:
            store.put(machine(), secrets=CLIENT)
            files = [path for path in store.materialise("node1").iterdir() if path.name != "ca.pem"]
    finally:
        os.umask(before)
    assert [mode(tmp_path / part) for part in ("a", "a/b", "a/b/store", "a/b/store/certs")] == [0o700] * 4
    assert {mode(path) for path in [*files, tmp_path / "a/b/store/state.db"]} == {0o600}


def test_a_store_can_begin_where_docker_machine_has_its_own(tmp_path: Path) -> None:
    for file in ("certs/ca.pem", "certs/ca-key.pem", "machines/web/config.json"):
        path = tmp_path / "store" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs")
    (tmp_path / "store").chmod(0o700)
    with SqliteStore.open(tmp_path / "store") as store:
        store.put(machine(), secrets=CLIENT)
        store.materialise("node1")
        store.remove("node1")
    assert (tmp_path / "store/certs/ca.pem").read_text() == "theirs"
