"""Results on standard output: lines, aligned columns, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from pymachine.cli.table import PLAIN, Layout, table
from pymachine.printable import hanging, one_line, printable, printable_json
from pymachine.redaction import hidden_password

# Of all JSON that the command line prints. It grows when a key goes or comes to mean something else; a new key may
# come at any time.
SCHEMA_VERSION = 1


def say(line: str) -> None:
    """Print one line of results."""
    click.echo(printable(line))


def note(line: str) -> None:
    """Print one line to standard error."""
    click.echo(on_stderr(line), err=True)


def on_stderr(text: str) -> str:
    """Return a text as it is told on standard error: as ``hanging`` does, with passwords in URLs hidden."""
    return hanging(hidden_password(text))


def dump(value: Any) -> None:
    """Print an object as indented JSON with ``schema_version``; in a list each object has one."""
    dump_plain(versioned(value))


def dump_plain(value: Any, indent: int = 2) -> None:
    """Print a value as JSON without ``schema_version``: a table of names and values, or one with its own schema."""
    click.echo(printable_json(json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)))


def versioned(value: Any) -> Any:
    """Return an object, or each of a list, with ``schema_version`` first; any other value unchanged."""
    if isinstance(value, list):
        return [versioned(item) for item in value]
    return {"schema_version": SCHEMA_VERSION, **value} if isinstance(value, dict) else value


def json_line(value: dict[str, Any]) -> str:
    """Return an object as one line of JSON, with ``schema_version``."""
    return printable_json(json.dumps(versioned(value), ensure_ascii=False, allow_nan=False)) + "\n"


def columns(headers: Sequence[str], rows: Sequence[Sequence[str]], layout: Layout = PLAIN) -> None:
    """Print aligned columns: in a pipe one line per row, on a terminal fitted to it as ``layout`` allows."""
    flat = [[one_line(" ".join(cell.split())) for cell in row] for row in rows]
    for line in table(headers, flat, _terminal_width(), layout):
        click.echo(line)


def counted(number: int, what: str) -> str:
    """Return a number with its noun: 1 machine, 2 machines."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _terminal_width() -> int | None:
    """Return the columns of standard output, 80 if a terminal does not report them; None if it is not a terminal."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns
