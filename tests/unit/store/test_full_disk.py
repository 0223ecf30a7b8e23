"""Stores on disks that are full or read-only, and databases that are lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.cli import main
from pymachine.errors import StoreError, StoreUnwritable
from pymachine.store.lookup import names
from pymachine.store.sqlite import SqliteStore
from unit.stored import CLIENT, killed, machine


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", where], check=True, timeout=LIMIT)
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=True, timeout=LIMIT)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return ballast


def test_a_full_disk_is_named_and_loses_nothing(small_disk: Path) -> None:
    with SqliteStore.open(small_disk / "store") as store:
        read = store.put(machine(), secrets=CLIENT)
        path = store.materialise("node1")
        ballast = fill(small_disk)
        with pytest.raises(StoreError, match="no space") as caught:
            store.put(machine("big"), secrets={"ca.pem": b"x" * 100_000})
        assert store.find("big") is None
        assert "free space" in (caught.value.hint or "")
        assert store.get("node1") == read
        assert {file.name: file.read_bytes() for file in path.iterdir()} == CLIENT
        ballast.unlink()
        store.put(read)
        assert store.get("node1").rev == 2


def test_certificates_that_do_not_fit_on_the_disk_leave_the_old_ones(small_disk: Path) -> None:
    with SqliteStore.open(small_disk / "store") as store:
        read = store.put(machine(), secrets=CLIENT)
        path = store.materialise("node1")
        store.put(read, secrets={"cert.pem": b"c" * 50_000, "key.pem": b"k" * 50_000})
        ballast = fill(small_disk)
        with pytest.raises(StoreError, match="no space"):
            store.materialise("node1")
        assert {file.name: file.read_bytes() for file in path.iterdir()} == CLIENT
        ballast.unlink()
        assert (store.materialise("node1") / "key.pem").stat().st_size == 50_000
        assert len(list((small_disk / "store" / "certs").iterdir())) == 2


def test_a_store_on_a_full_disk_cannot_be_made_and_says_why(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(StoreError, match="no space"):
        SqliteStore.open(small_disk / "store")


def test_a_lease_ends_quietly_where_the_disk_is_full(small_disk: Path) -> None:
    with SqliteStore.open(small_disk / "store") as store:
        lease = store.lease("node1", "create")
        lease.__enter__()
        fill(small_disk)
        assert not lease.__exit__(None, None, None)


def test_a_read_only_disk_is_named(small_disk: Path) -> None:
    (small_disk / "store").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True, timeout=LIMIT)
    with pytest.raises(StoreUnwritable, match=" written"):
        SqliteStore.open(small_disk / "store")


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_reading_needs_no_room(small_disk: Path, fault: str) -> None:
    killed(small_disk / "store")
    if fault == "full":
        fill(small_disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True, timeout=LIMIT)
    with SqliteStore.open(small_disk / "store") as store:
        assert [record.name for record in store.records()] == ["node1"]
        assert store.secrets("node1") == {"ca.pem": b"authority"}
        assert store.holder("node1") is None
        with pytest.raises(StoreUnwritable):
            store.put(machine("node2"))


@pytest.mark.parametrize("fault", ["full", "read-only"])
@pytest.mark.parametrize("there", [True, False])
def test_client_files_need_no_room(
    small_disk: Path, fault: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are right count, with what a crash left beside them; others are written to memory."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = small_disk / "store"
    with SqliteStore.open(folder) as store:
        store.put(machine("node1"), secrets=CLIENT)
        store.put(machine("bare"))
        if there:
            stray = store.materialise("node1").parent / ".node1@0123456789abcdef"
            stray.mkdir()
    if fault == "full":
        fill(small_disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True, timeout=LIMIT)
    with SqliteStore.open(folder) as store:
        found = store.materialise("node1")
        # A full disk has room for nothing new, but for what takes none: a link may still change.
        assert found == store.materialise("node1")
        assert {file.name: file.read_bytes() for file in found.iterdir()} == CLIENT
        if not there:
            assert tmp_path in found.parents
            private = [path for path in (found, *found.parents) if tmp_path in path.parents]
            assert {path.stat().st_mode & 0o777 for path in private} == {0o700}
            assert {file.stat().st_mode & 0o777 for file in found.iterdir()} == {0o600}
        with pytest.raises(StoreError):
            store.materialise("bare")


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_completion_needs_no_room(
    small_disk: Path, fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    killed(small_disk / "store")
    if fault == "full":
        fill(small_disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True, timeout=LIMIT)
    monkeypatch.setenv("_PYMACHINE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"pymachine -s {small_disk / 'store'} env n")
    monkeypatch.setenv("COMP_CWORD", "4")
    main([])
    assert capsys.readouterr().out == "plain,node1\n"


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_linked_database_is_read_with_its_log(small_disk: Path, fault: str, tmp_path: Path) -> None:
    """The log is beside the file, not beside the link to it."""
    killed(small_disk / "store")
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    (folder / "state.db").symlink_to(small_disk / "store" / "state.db")
    if fault == "full":
        fill(small_disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True, timeout=LIMIT)
    with SqliteStore.open(folder) as store:
        assert [record.name for record in store.records()] == ["node1"]
    with pytest.raises(StoreError):  # not without the log; the quick commands leave it to the store
        names(str(folder))


def test_an_emptied_database_behind_a_link_keeps_its_log(tmp_path: Path) -> None:
    killed(tmp_path / "real")
    link = tmp_path / "store"
    link.mkdir(mode=0o700)
    (link / "state.db").symlink_to(tmp_path / "real" / "state.db")
    os.truncate(tmp_path / "real" / "state.db", 0)
    with pytest.raises(StoreError, match="log"):
        SqliteStore.open(link)
    assert (tmp_path / "real" / "state.db-wal").stat().st_size
