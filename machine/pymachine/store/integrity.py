"""Whether the database of a store is whole, as SQLite itself finds out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pymachine.clock import Deadline
from pymachine.errors import DeadlineExceeded
from pymachine.store.errors import translated
from pymachine.store.schema import DATABASE

MOST = 3  # faults that are told
STEPS = 10_000  # of SQLite's virtual machine between two looks at the clock


def integrity_faults(folder: Path, *, deadline: float) -> tuple[str, ...]:
    """Return what is wrong with the database in ``folder``; nothing if it is whole, or not there yet.

    Raises ``StoreError`` if it cannot be read, ``DeadlineExceeded`` after ``deadline`` seconds.
    """
    path, limit = folder / DATABASE, Deadline(deadline)
    if not path.exists():
        return ()
    with translated(str(path)), closing(_opened(path, limit)) as connection:
        try:
            rows = connection.execute(f"PRAGMA quick_check({MOST})").fetchall()
        except sqlite3.OperationalError:
            if limit.passed:
                raise DeadlineExceeded(f"{path} was not checked within {deadline:g} s") from None
            raise
    return tuple(str(row[0]) for row in rows if row[0] != "ok")


def _opened(path: Path, limit: Deadline) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=limit.seconds)
    connection.set_progress_handler(lambda: limit.passed, STEPS)
    return connection
