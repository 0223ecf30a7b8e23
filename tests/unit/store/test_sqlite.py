"""The SQLite store's own affairs: its folder, its file, its schema, and what it does with damage."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.cli import main
from pymachine.errors import SchemaTooNew, StoreError, StoreUnwritable
from pymachine.model import Machine, SshAddress
from pymachine.store import Broken
from pymachine.store.database import Database
from pymachine.store.filesystem import file_system, takes_wal
from pymachine.store.folder import default_folder
from pymachine.store.lookup import names
from pymachine.store.names import natural_key
from pymachine.store.schema import APPLICATION_ID, MIGRATIONS
from pymachine.store.sqlite import SqliteStore

CLIENT = {"ca.pem": b"authority", "cert.pem": b"certificate", "key.pem": b"key"}
NEXT = (*MIGRATIONS, ("CREATE TABLE extra (value)", "INSERT INTO extra VALUES (1)"))


def machine(name: str = "node1") -> Machine:
    return Machine(name=name, id=f"id-of-{name}", driver="ssh")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with one machine, closed."""
    with SqliteStore.open(tmp_path / "store") as store:
        store.put(machine(), secrets=CLIENT)
    return tmp_path / "store"


def execute(folder: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


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
    assert default_folder(environ) == Path(expected)


def test_a_relative_storage_path_means_the_same_after_cd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_folder({"MACHINE_STORAGE_PATH": "pm"}) == tmp_path / "pm"


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_without_a_home_the_error_says_what_to_set(environ: dict[str, str]) -> None:
    with pytest.raises(StoreError, match="HOME") as caught:
        default_folder(environ)
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


KILLED = """
import os, sys
from pathlib import Path
from pymachine.model import Machine
from pymachine.store.sqlite import SqliteStore
store = SqliteStore.open(Path(sys.argv[1]))
store.put(Machine("node1", "id-of-node1", "ssh"), secrets={"ca.pem": b"authority"})
os.kill(os.getpid(), 9)
"""


def killed(folder: Path) -> None:
    """Write a record and die, so that it stands in the log alone; the log's index is gone, as after a reboot."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], timeout=LIMIT, check=False)
    assert done.returncode == -9
    assert (folder / "state.db-wal").stat().st_size
    (folder / "state.db-shm").unlink()


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
