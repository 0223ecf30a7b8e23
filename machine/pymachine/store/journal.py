"""The operation journal as rows: what was started, its current step, and how it ended."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pymachine.documents import to_document
from pymachine.errors import StoreError
from pymachine.model import Machine
from pymachine.store.notes import loaded
from pymachine.store.protocol import Operation

KEPT = 1000  # entries that ended; older ones are dropped when a new one begins
OUTCOMES = ("done", "failed")

_COLUMNS = ("id", "machine_id", "machine", "kind", "step", "begun", "changed", "outcome", "message", "payload")


def begin(connection: sqlite3.Connection, machine: Machine, kind: str, payload: Mapping[str, Any] | None) -> int:
    """Open an entry and return its number."""
    now = timestamp()
    row = (machine.id, machine.name, kind, now, now, json.dumps(to_document(payload or {})))
    entry = connection.execute(
        "INSERT INTO operation (machine_id, machine, kind, step, begun, changed, message, payload) "
        "VALUES (?, ?, ?, '', ?, ?, '', ?)",
        row,
    )
    connection.execute(
        "DELETE FROM operation WHERE outcome IS NOT NULL AND id <= "
        "(SELECT id FROM operation WHERE outcome IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (KEPT,),
    )
    assert entry.lastrowid is not None
    return entry.lastrowid


def advance(connection: sqlite3.Connection, operation: int, step: str) -> None:
    """Record the step that begins now."""
    changed = connection.execute(
        "UPDATE operation SET step = ?, changed = ? WHERE id = ?", (step, timestamp(), operation)
    )
    require(changed.rowcount, operation)


def finish(connection: sqlite3.Connection, operation: int, outcome: str, message: str) -> None:
    """Close the entry."""
    check_outcome(outcome)
    changed = connection.execute(
        "UPDATE operation SET outcome = ?, message = ?, changed = ? WHERE id = ?",
        (outcome, message, timestamp(), operation),
    )
    require(changed.rowcount, operation)


def entries(connection: sqlite3.Connection, name: str | None, *, unfinished: bool) -> list[Operation]:
    """Return entries, newest first, of one machine or of all; only unfinished ones if requested."""
    rows = connection.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM operation WHERE (:name IS NULL OR machine = :name) "  # noqa: S608
        "AND (NOT :unfinished OR outcome IS NULL) ORDER BY id DESC",
        {"name": name, "unfinished": unfinished},
    )
    return [Operation(**dict(zip(_COLUMNS, row, strict=True), payload=loaded(row[-1]))) for row in rows.fetchall()]


def check_outcome(outcome: str) -> None:
    """Raise ``ValueError`` for anything but ``done`` and ``failed``."""
    if outcome not in OUTCOMES:
        raise ValueError(f"an operation ends as one of {OUTCOMES}, not {outcome!r}")


def require(found: int, operation: int) -> None:
    """Raise ``StoreError`` for a missing entry."""
    if not found:
        raise StoreError(f"the journal has no operation {operation}")


def timestamp() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
