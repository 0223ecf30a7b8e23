"""``inspect``: the record of a machine."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import one
from pymachine.cli.options import NAME, command
from pymachine.cli.output import dump
from pymachine.redaction import machine_document


@command()
@click.option("--json", is_flag=True, expose_value=False, help="Accepted for consistency; output is always JSON.")
@NAME
@click.pass_obj
def inspect(app: App, name: str | None) -> None:
    """Print the record of a machine as JSON.

    What may be secret is left out.
    """
    dump(machine_document(one(app, name)))
