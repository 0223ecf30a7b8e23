"""A store that can be read where nothing can be written: a full or read-only file system.

SQLite needs a shared-memory file beside a database in WAL mode, even to read it. Without room for one, database and
log are copied to a file system in memory, merged there, and read from a connection that has no file.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from pymachine.errors import StoreError

IN_MEMORY = Path("/dev/shm")
TRIES = 3  # a writer elsewhere may move the log into the database while both are copied


def log_of(path: Path) -> Path:
    """Return the path of a database's log, which SQLite keeps beside the file that a link leads to."""
    real = path.resolve()
    return real.with_name(f"{real.name}-wal")


def memory_copy(path: Path) -> sqlite3.Connection:
    """Return a connection to a copy in memory. Raises ``OSError``, ``sqlite3.Error``, ``StoreError``."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        # TemporaryDirectory is mode 0700: keys are in the copy until it is gone again.
        with TemporaryDirectory(prefix="pymachine-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as scratch:
            _copied(path, Path(scratch))
            with closing(sqlite3.connect(Path(scratch) / path.name)) as merged:
                merged.backup(copy)
    except BaseException:
        copy.close()
        raise
    return copy


def _copied(path: Path, scratch: Path) -> None:
    files = {log_of(path): f"{path.name}-wal", path: path.name}
    for _ in range(TRIES):
        before = [_version(file) for file in files]
        for file, name in files.items():
            (scratch / name).unlink(missing_ok=True)
            if file.exists():
                shutil.copyfile(file, scratch / name)
        if before == [_version(file) for file in files]:
            return
    raise StoreError(f"{path} is being written and cannot be read as a copy", hint="try again")


def _version(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size
