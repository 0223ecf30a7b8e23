"""What is remembered of no single machine, as rows: JSON documents by name."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from pymachine.documents import to_document
from pymachine.errors import NoteUnreadable
from pymachine.store.schema import NOTED
from pymachine.strict_json import parse_json


def find(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    """Return the document, or an empty one where there is none. Raises ``NoteUnreadable``."""
    row = connection.execute("SELECT document FROM note WHERE name = ?", (name,)).fetchone()
    return parsed(name, row[0]) if row else {}


def names(connection: sqlite3.Connection, start: str) -> list[str]:
    """Return the names that begin like this, in order."""
    return [row[0] for row in connection.execute(NOTED, (start,))]


def write(connection: sqlite3.Connection, name: str, document: Mapping[str, Any]) -> None:
    """Write the document over the one of before; an empty one is deleted."""
    if not document:
        connection.execute("DELETE FROM note WHERE name = ?", (name,))
        return
    connection.execute(
        "INSERT INTO note (name, document) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET document = excluded.document",
        (name, dumped(document)),
    )


def dumped(document: Mapping[str, Any]) -> str:
    """Return the text that is stored."""
    return json.dumps(to_document(document))


def parsed(name: str, text: Any) -> dict[str, Any]:
    """Return the document of a text. Raises ``NoteUnreadable``."""
    try:
        document = parse_json(text)
    except (TypeError, ValueError) as error:
        raise unreadable(name, str(error)) from error
    if not isinstance(document, dict):
        raise unreadable(name, "it is not an object")
    return document


def unreadable(name: str, reason: str) -> NoteUnreadable:
    """Return the error for a document that is not what it should be."""
    return NoteUnreadable(
        f"what was noted of {name.replace(':', ' ', 1)} cannot be read: {reason[:200]}",
        hint="the next apply begins it again",
    )


def loaded(text: Any) -> dict[str, Any]:
    """Return the document of a text; one that cannot be read counts as empty."""
    try:
        return parsed("", text)
    except NoteUnreadable:
        return {}
