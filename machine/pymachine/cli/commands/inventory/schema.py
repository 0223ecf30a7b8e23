"""``inventory schema``: print the JSON Schema of inventories."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.inventory_files import surroundings_of
from pymachine.cli.options import command
from pymachine.cli.output import dump_plain


@command()
@click.pass_obj
def schema(app: App) -> None:
    """Print the JSON Schema of inventories, including the installed drivers, for editors."""
    from pymachine.fleet.inventory.driver_keys import Drivers
    from pymachine.fleet.inventory.json_schema import schema_of

    dump_plain(schema_of(Drivers(surroundings_of(app))))
