"""The SQLite file of the store: opened safely, migrated, written in short transactions."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from pymachine.errors import SchemaTooNew, StoreError, StoreUnwritable
from pymachine.store.errors import translated
from pymachine.store.filesystem import takes_wal
from pymachine.store.memory_copy import log_of, memory_copy
from pymachine.store.migrations import Migrations, migrate, user_version
from pymachine.store.schema import APPLICATION_ID, CERTIFICATES, MIGRATIONS, SSH_FILES

PATIENCE = 10.0  # seconds to wait for another process's transaction; none lasts longer than some file writes


class Database:
    """One connection, shared by all threads of the process, one at a time. Created by ``open``."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, newest: int, unwritable: StoreError | None = None
    ) -> None:
        self._connection = connection
        self._path = path
        self._newest = newest
        self._unwritable = unwritable
        self._lock = RLock()

    @classmethod
    def open(
        cls, path: Path, migrations: Migrations = MIGRATIONS, *, wal: Callable[[Path], bool] = takes_wal
    ) -> Database:
        """Open the file.

        Create or migrate it first if necessary. ``wal`` tells whether a folder supports a write-ahead log.

        A database that cannot be written is read from a copy in memory; ``writing`` then raises the reason. Raises
        ``StoreError``.
        """
        _refuse_lost(path)
        try:
            return cls._opened(path, migrations, wal)
        except StoreError as error:
            if not isinstance(error, StoreUnwritable) or not _size(path):
                raise
            return cls._copied(path, migrations, error)

    @classmethod
    def _opened(cls, path: Path, migrations: Migrations, wal: Callable[[Path], bool]) -> Database:
        with translated(str(path)):
            _make_private(path)
            connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            try:
                _prepare(connection, path, wal)
                migrate(connection, path, migrations)
                connection.execute("PRAGMA foreign_keys = ON")  # after migrations, which may rebuild tables
            except BaseException:
                connection.close()
                raise
        return cls(connection, path, len(migrations))

    @classmethod
    def _copied(cls, path: Path, migrations: Migrations, error: StoreError) -> Database:
        with translated(str(path)):
            connection = memory_copy(path)
            connection.text_factory = _text
            _refuse_foreign(connection, path)
            migrate(connection, None, migrations)
        return cls(connection, path, len(migrations), error)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for one query. Works on a store of a newer version as far as its tables allow."""
        with self._lock, translated(str(self._path)):
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for one transaction, which is kept completely, or not at all if the block raises.

        The write lock is taken at once. A transaction that begins as a reader cannot wait for it later: SQLite then
        fails with "database is locked" whatever the timeout. Raises ``SchemaTooNew``.
        """
        if self._unwritable is not None:
            raise self._unwritable
        with self._lock, translated(str(self._path)):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._refuse_newer()
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        with self._lock:
            self._connection.close()

    def _refuse_newer(self) -> None:
        """Check the schema at every write, because another process may have migrated the open store."""
        version = user_version(self._connection)
        if version > self._newest:
            raise SchemaTooNew(
                f"{self._path} was written by a newer pymachine (schema {version}, known here: {self._newest})",
                hint="upgrade pymachine on this computer; until then its machines can be listed and used",
            )


def _refuse_lost(path: Path) -> None:
    """Refuse an empty or missing database beside other files of a store.

    SQLite would take it for a new one and delete the log, which may contain all records. Certificates of ours are in
    folders; plain files are docker-machine's, in whose folder a store may begin. Raises ``StoreError``.
    """
    if _size(path):
        return
    state = "empty" if path.exists() else "gone"
    log, certificates = log_of(path), path.parent / CERTIFICATES
    if _size(log):
        raise StoreError(
            f"{path} is {state}, but its log {log.name} holds records",
            hint="restore a backup of the database; to start with an empty store, move the log aside",
        )
    for folder, pattern in ((certificates, "*"), (path.parent / SSH_FILES, "*.known_hosts")):
        with translated(str(folder)):
            found = [path for path in folder.glob(pattern) if folder != certificates or path.is_dir()]
            kept = sorted(path.stem for path in found)
        if names := [name for name in kept if not name.startswith(".")]:
            raise StoreError(
                f"{path} is {state}, but {folder} has files of {', '.join(names[:5])}",
                hint=f"put a backup of the database there; to start with an empty store, move {folder} aside",
            )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _make_private(path: Path) -> None:
    """Create the file with mode 0600 before SQLite does; its companions (-wal, -shm) get the same mode."""
    # Only a new file is opened here: closing it again would drop the locks that this process holds on an old one
    # (https://sqlite.org/howtocorrupt.html, "POSIX advisory locks").
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        os.fchmod(descriptor, 0o600)  # whatever the umask takes away
        os.close(descriptor)
    found = path.stat()
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO) and found.st_uid == os.geteuid():
        path.chmod(0o600)


def _prepare(connection: sqlite3.Connection, path: Path, wal: Callable[[Path], bool]) -> None:
    connection.text_factory = _text
    connection.execute("PRAGMA synchronous = FULL")
    _refuse_foreign(connection, path)
    _choose_journal(connection, path.parent, wal)


def _text(raw: bytes) -> str:
    """Accept invalid text, so that one damaged row does not prevent a list."""
    return raw.decode(errors="surrogateescape")


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == APPLICATION_ID:
        return
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application or (objects and not _just_made(connection)):
        raise StoreError(
            f"{path} is the database of another program",
            hint="choose another folder with --storage-path or MACHINE_STORAGE_PATH",
        )


def _just_made(connection: sqlite3.Connection) -> bool:
    """Whether another process created the store's tables between two checks."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    return bool(application == APPLICATION_ID)


def _choose_journal(connection: sqlite3.Connection, folder: Path, wal: Callable[[Path], bool]) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode == "wal" or not wal(folder):
        return
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        # Somebody is at work in the other mode, which is as safe and only slower; the next to open tries again.
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
