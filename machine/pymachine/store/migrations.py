"""Bringing a database from the schema it has to the one we know."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pymachine.store.schema import APPLICATION_ID

Migrations = Sequence[Sequence[str]]


def migrate(connection: sqlite3.Connection, path: Path | None, migrations: Migrations) -> None:
    """Run the migrations that are missing, each in a transaction of its own, after a backup ``backup-vN.db``.

    A store of a newer version is left as it is. ``path`` is None for a copy in memory, which needs no backup.
    """
    version = user_version(connection)
    if path is not None and 0 < version < len(migrations):
        _back_up(connection, path.parent, version)
    for target, statements in enumerate(migrations[version:], version + 1):
        _step(connection, statements, target)


def user_version(connection: sqlite3.Connection) -> int:
    """Return the schema version of the database; 0 for an empty one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _step(connection: sqlite3.Connection, statements: Sequence[str], target: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if user_version(connection) < target:  # else another process was faster
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {target}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _back_up(connection: sqlite3.Connection, folder: Path, version: int) -> None:
    """Copy the database aside; the copy appears under its name only when it is whole and of that version."""
    unfinished = folder / f"backup-v{version}.db.{os.getpid()}"
    os.close(os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600))
    try:
        connection.execute("VACUUM INTO ?", (str(unfinished),))
        if _version_of(unfinished) == version:  # else another process migrated meanwhile, and has its backup
            unfinished.replace(folder / f"backup-v{version}.db")
    finally:
        unfinished.unlink(missing_ok=True)


def _version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return user_version(connection)
