"""What is remembered of no single machine, as rows: JSON documents by name."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from pymachine.documents import to_document
from pymachine.strict_json import parse_json


def find(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    """Return the document, or an empty one; one that cannot be read counts as forgotten."""
    row = connection.execute("SELECT document FROM note WHERE name = ?", (name,)).fetchone()
    return loaded(row[0]) if row else {}


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


def loaded(text: str) -> dict[str, Any]:
    """Return the document of a text."""
    try:
        document = parse_json(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
