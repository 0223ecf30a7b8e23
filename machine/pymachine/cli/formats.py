"""``--format``: results by a Go template, as docker-machine and docker print them, or as JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from pymachine.cli.output import dump, say, versioned
from pymachine.cli.table import table
from pymachine.printable import printable_yaml

TABLE = "table"
NAMED = ("json", "yaml")


def print_document(document: Any, fields: Any, template: str) -> None:
    """Print one result: ``document`` as JSON or YAML, or a template filled in with ``fields``.

    Raises ``TemplateError``.
    """
    if template in NAMED:
        _print_named(document, template)
        return
    from pymachine.gotemplate import PRINTABLE, Template

    say(Template(_expanded(template), PRINTABLE).fill(fields))


def print_rows(
    documents: Sequence[Any], rows: Sequence[Mapping[str, Any]], headers: Mapping[str, str], template: str
) -> None:
    """Print a list: ``documents`` as JSON or YAML, or a template filled in with each row.

    A template that begins with ``table`` is aligned under ``headers``, which are by the fields of the rows, as
    docker-machine does. Each text is one line without tabs, as in a table: a message of an engine would otherwise
    make lines and columns that look like those of another row. Raises ``TemplateError``.
    """
    if template in NAMED:
        _print_named(documents, template)
        return
    from pymachine.gotemplate import PRINTABLE, Struct, Template

    word, _, rest = template.partition(" ")
    with_headers = word == TABLE
    made = Template(_expanded(rest.strip() if with_headers else template), PRINTABLE)
    lines = [made.fill(Struct(_flat(row))) for row in ([headers, *rows] if with_headers else rows)]
    for line in _aligned(lines) if with_headers else lines:
        say(line)


def _flat(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, Mapping):
        return {key: _flat(item) for key, item in value.items()}
    return [_flat(item) for item in value] if isinstance(value, list | tuple) else value


def _expanded(template: str) -> str:
    r"""``\t`` and ``\n`` are written so in a shell's quotes, and meant."""
    return template.replace(r"\t", "\t").replace(r"\n", "\n")


def _aligned(lines: Sequence[str]) -> list[str]:
    first, *others = [line.split("\t") for line in lines]
    width = max(map(len, (first, *others)))
    filled = [[*cells, *[""] * (width - len(cells))] for cells in (first, *others)]
    return list(table(filled[0], filled[1:], None))


def _print_named(value: Any, name: str) -> None:
    if name == "json":
        dump(value)
        return
    click.echo(printable_yaml(versioned(value)), nl=False)
