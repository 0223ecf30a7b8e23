"""``--format``: results by a Go template, as docker-machine and docker print them, or as JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from pymachine.cli.output import dump, say, versioned
from pymachine.cli.table import table

TABLE = "table"
NAMED = ("json", "yaml")


def print_document(document: Any, fields: Any, template: str) -> None:
    """Print one result: ``document`` as JSON or YAML, or a template filled in with ``fields``.

    Raises ``TemplateError``.
    """
    if template in NAMED:
        _print_named(document, template)
        return
    from pymachine.gotemplate import Template

    say(Template(_expanded(template)).fill(fields))


def print_rows(
    documents: Sequence[Any], rows: Sequence[Mapping[str, Any]], headers: Mapping[str, str], template: str
) -> None:
    """Print a list: ``documents`` as JSON or YAML, or a template filled in with each row.

    A template that begins with ``table`` is aligned under ``headers``, which are by the fields of the rows, as
    docker-machine does. Raises ``TemplateError``.
    """
    if template in NAMED:
        _print_named(documents, template)
        return
    from pymachine.gotemplate import Struct, Template

    word, _, rest = template.partition(" ")
    with_headers = word == TABLE
    made = Template(_expanded(rest.strip() if with_headers else template))
    lines = [made.fill(Struct(row)) for row in ([headers, *rows] if with_headers else rows)]
    for line in _aligned(lines) if with_headers else lines:
        say(line)


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
    import yaml

    from pymachine.printable import printable

    click.echo(printable(yaml.safe_dump(versioned(value), sort_keys=False, allow_unicode=True)), nl=False)
