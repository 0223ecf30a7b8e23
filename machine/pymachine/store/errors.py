"""Converts errors of SQLite and the file system to pymachine's; the only place that does."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from pymachine.errors import StoreError, StoreUnwritable

NEARLY_FULL = 1 << 16  # bytes; SQLite reports some writes to a full disk as plain I/O errors

_ROOM = "free space there and run the command again: what was stored before is intact"
_ELSEWHERE = "make it writable, or choose another folder with --storage-path or MACHINE_STORAGE_PATH"


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Convert errors on ``path`` to ``StoreError``."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise explained(error, path) from error


def explained(error: sqlite3.Error | OSError, path: str) -> StoreError:
    """Return the ``StoreError`` that explains ``error``."""
    if isinstance(error, OSError):
        return _of_system(error, str(error.filename or path))
    return _of_sqlite(error, path)


def broken_record(name: str, reason: str) -> StoreError:
    """Return the error for a record that cannot be read."""
    return StoreError(
        f"the record of machine {name} cannot be read: {reason}",
        hint=f"`pymachine rm -f {name}` forgets it; its host, if any, is not changed",
    )


def _of_system(error: OSError, path: str) -> StoreError:
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreUnwritable(f"no space left for {path}", hint=_ROOM)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreUnwritable(f"{path} cannot be written: {reason}", hint=_ELSEWHERE)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return StoreError(f"{path} cannot be a folder: there is a file in its place", hint=_ELSEWHERE)
    return StoreError(f"{path} cannot be used: {reason}")


def _of_sqlite(error: sqlite3.Error, path: str) -> StoreError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _is_full(path)):
        return StoreUnwritable(f"no space left for {path}", hint=_ROOM)
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StoreError(
            f"{path} is damaged or not a pymachine store: {error}",
            hint=f"move it aside and put a backup in its place; `sqlite3 {path} .recover` saves what can be read",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreUnwritable(f"{path} cannot be opened for writing: {error}", hint=_ELSEWHERE)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{path} is locked by another process", hint=f"see who has it open: `fuser -v {path}`")
    return StoreError(f"{path} cannot be used: {error}")


def _is_full(path: str) -> bool:
    try:
        disk = os.statvfs(os.path.dirname(os.path.realpath(path)))  # noqa: PTH120
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < NEARLY_FULL
