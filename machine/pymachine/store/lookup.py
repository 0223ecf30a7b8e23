"""Reading one record, and nothing else, for the commands that are typed all day.

``pymachine env`` spends its time on imports, so this module loads ``sqlite3`` and ``json`` and what they need:
no dataclasses, no pathlib, no typing. Everything else goes through ``store.sqlite``.
"""

import os
import sqlite3

from pymachine.store.schema import (
    CERTIFICATES,
    CONTEXT_NOTES,
    DATABASE,
    DOCUMENT_OF,
    IDENTITY,
    NAMES,
    NOTED,
    SECRETS_OF,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATIENCE = 2.0  # seconds to wait for a writer that locks readers out, which WAL does for milliseconds at most


def lookup(folder: str, name: str) -> "dict[str, Any] | None":
    """Return the document of a machine as it is stored, or None.

    Never makes or changes anything. Raises ``StoreError`` where the store or the record cannot be read.
    """
    rows = _select(folder, DOCUMENT_OF, name)
    return _parsed(rows[0][0], name) if rows else None


def names(folder: str) -> list[str]:
    """Return the names of all machines in natural order: for completion. Raises ``StoreError``."""
    from pymachine.store.names import natural_key

    return sorted((row[0] for row in _select(folder, NAMES)), key=natural_key)


def has_contexts(folder: str) -> bool:
    """Return whether any machine has a context of the docker client. Raises ``StoreError``."""
    return bool(_select(folder, NOTED, CONTEXT_NOTES))


def is_private(folder: str) -> bool:
    """Whether the folder holds a store that opening it would leave as it is: ours to write, and closed to others."""
    try:
        found = os.stat(folder)  # noqa: PTH116
    except OSError:
        return False
    closed = not found.st_mode & 0o077
    return closed and os.access(folder, os.W_OK | os.X_OK) and _has_content(f"{folder}/{DATABASE}")


def secret_names(folder: str, name: str) -> list[str]:
    """Return the names of the files kept for a machine: none for an engine remembered without certificates."""
    return [row[0] for row in _select(folder, SECRETS_OF, name)]


def client_path(folder: str, name: str) -> str:
    """Return the folder for DOCKER_CERT_PATH, by the machine's name as its document spells it."""
    return f"{folder}/{CERTIFICATES}/{name}"


def identity_at(folder: str) -> str:
    """Return the identity of the store in a folder. Raises ``StoreError`` where it has none, or cannot be read."""
    rows = _select(folder, IDENTITY)
    if not rows:
        from pymachine.errors import StoreError

        raise StoreError(f"{folder}/{DATABASE} has lost its content")
    return str(rows[0][0])


def _select(folder: str, query: str, *values: str) -> "list[Any]":
    path = f"{os.path.abspath(folder)}/{DATABASE}"  # noqa: PTH100
    if not _has_content(path):  # SQLite deletes the log of an empty database, even where it only reads
        return []
    try:
        return _rows(path, "mode=ro", query, values)
    except sqlite3.OperationalError as error:
        # A read-only or full file system: the shared memory that WAL wants cannot be made. Without a log beside
        # the file (where a link leads), the file alone is the whole truth.
        if _needs_room(error) and not _has_content(f"{os.path.realpath(path)}-wal"):
            return _rows(path, "immutable=1", query, values)
        raise _explained(error, path) from error
    except sqlite3.Error as error:
        raise _explained(error, path) from error


def _rows(path: str, how: str, query: str, values: "tuple[str, ...]") -> "list[Any]":
    escaped = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file://{escaped}?{how}", uri=True, timeout=PATIENCE)
    try:
        found = connection.execute(query, values).fetchall()
    finally:
        connection.close()
    return found


def _has_content(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0  # noqa: PTH116
    except OSError:
        return False


def _needs_room(error: sqlite3.OperationalError) -> bool:
    primary = error.sqlite_errorcode & 0xFF
    return primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)


def _parsed(document: str, name: str) -> "dict[str, Any]":
    from pymachine.strict_json import parse_json

    try:
        parsed = parse_json(document)
    except (ValueError, TypeError) as error:
        from pymachine.store.errors import broken_record

        raise broken_record(name, str(error)) from error
    if not isinstance(parsed, dict):
        from pymachine.store.errors import broken_record

        raise broken_record(name, "it is not a JSON object")
    return parsed


def _explained(error: sqlite3.Error, path: str) -> Exception:
    from pymachine.store.errors import explained

    return explained(error, path)
