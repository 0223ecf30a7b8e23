"""The records and their secrets, as rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from pymachine.documents import from_document, to_document
from pymachine.errors import Conflict, NoSuchMachine, StoreError
from pymachine.model import Machine, check_name
from pymachine.store.errors import broken_record
from pymachine.store.names import natural_key
from pymachine.store.protocol import Broken
from pymachine.store.schema import DOCUMENT_OF
from pymachine.strict_json import parse_json


def find(connection: sqlite3.Connection, name: str) -> Machine | None:
    """Return the record, or None. Raises ``StoreError`` for one that cannot be read."""
    row = connection.execute("SELECT name, rev, document FROM machine WHERE name = ?", (name,)).fetchone()
    return _loaded(*row) if row else None


def listed(connection: sqlite3.Connection) -> list[Machine | Broken]:
    """Return all records in natural order; one that cannot be read is an error row."""
    rows = connection.execute("SELECT name, rev, document FROM machine").fetchall()
    return [_loaded_or_broken(*row) for row in sorted(rows, key=lambda row: natural_key(row[0]))]


def spelling(connection: sqlite3.Connection, name: str) -> str | None:
    """Return the name as its record spells it, or None."""
    row = connection.execute("SELECT name FROM machine WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else None


def insert(connection: sqlite3.Connection, machine: Machine) -> Machine:
    """Write a new record. Raises ``Conflict`` if there is one of that name."""
    check_name(machine.name)
    if spelling(connection, machine.name) is not None:
        raise already_there(machine.name)
    saved = replace(machine, rev=1)
    connection.execute(
        "INSERT INTO machine (name, id, driver, phase, rev, document) VALUES (?, ?, ?, ?, ?, ?)",
        (saved.name, saved.id, saved.driver, saved.phase.value, saved.rev, json.dumps(to_document(saved))),
    )
    return saved


def update(connection: sqlite3.Connection, machine: Machine) -> Machine:
    """Write a changed record over the one it was read from. Raises ``Conflict`` if that is not there any more."""
    row = connection.execute(DOCUMENT_OF, (machine.name,)).fetchone()
    saved = replace(machine, rev=machine.rev + 1)
    document = with_unknown_keys(saved, row[0] if row else "{}")
    changed = connection.execute(
        "UPDATE machine SET driver = ?, phase = ?, rev = ?, document = ? WHERE name = ? AND id = ? AND rev = ?",
        (saved.driver, saved.phase.value, saved.rev, json.dumps(document), saved.name, saved.id, machine.rev),
    )
    if not changed.rowcount:
        raise changed_meanwhile(machine.name)
    return saved


def keep_secrets(connection: sqlite3.Connection, name: str, secrets: Mapping[str, bytes]) -> None:
    """Write these files over those of the same name; one without content is deleted."""
    connection.executemany(
        "DELETE FROM secret WHERE machine = ? AND file = ?",
        [(name, file) for file, content in secrets.items() if not content],
    )
    connection.executemany(
        "INSERT INTO secret (machine, file, content) VALUES (?, ?, ?) "
        "ON CONFLICT (machine, file) DO UPDATE SET content = excluded.content",
        [(name, file, content) for file, content in secrets.items() if content],
    )


def secrets_of(connection: sqlite3.Connection, name: str) -> dict[str, bytes]:
    """Return the machine's files; none for a machine that is not there."""
    return dict(connection.execute("SELECT file, content FROM secret WHERE machine = ? ORDER BY file", (name,)))


def delete(connection: sqlite3.Connection, name: str, rev: int | None) -> str | None:
    """Delete the record and its secrets; return the machine's id, None if there is no record.

    Raises ``Conflict`` if ``rev`` is given and not the stored one.
    """
    row = connection.execute("SELECT rev, id FROM machine WHERE name = ?", (name,)).fetchone()
    if row and rev is not None and row[0] != rev:
        raise changed_meanwhile(name)
    connection.execute("DELETE FROM machine WHERE name = ?", (name,))
    return str(row[1]) if row else None


def with_unknown_keys(machine: Machine, stored: str) -> dict[str, Any]:
    """Return the document to write: the record's, with what a newer version keeps inside its parts.

    The record itself carries unknown keys in ``extra``; its parts (the SSH address, the certificates) cannot.
    """
    document: dict[str, Any] = to_document(machine)
    former = _mapping(stored)
    for part in (f.name for f in fields(machine) if is_dataclass(getattr(machine, f.name))):
        if isinstance(former.get(part), dict):
            document[part] = {**former[part], **document[part]}
    return document


def no_such(name: str) -> NoSuchMachine:
    """Return the error for a name without a record."""
    return NoSuchMachine(f"no machine {name!r}", names=(name,), hint="`pymachine ls` shows the machines there are")


def already_there(name: str) -> Conflict:
    """Return the error for a new record where there is one."""
    return Conflict(f"machine {name} was created in the meantime", hint="choose another name, or look at it first")


def changed_meanwhile(name: str) -> Conflict:
    """Return the error for a record that is not as it was read."""
    return Conflict(
        f"the record of machine {name} was changed by another process",
        hint="run the command again if it still applies",
    )


def _loaded(name: str, rev: int, document: str) -> Machine:
    try:
        return replace(from_document(Machine, parse_json(document)), name=name, rev=rev)
    except (ValueError, TypeError, AttributeError) as error:
        raise broken_record(name, str(error)) from error


def _loaded_or_broken(name: str, rev: int, document: str) -> Machine | Broken:
    try:
        return _loaded(name, rev, document)
    except StoreError as error:
        return Broken(name, error.message)


def _mapping(document: str) -> dict[str, Any]:
    try:
        parsed = parse_json(document)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
