"""``inventory import``: print an inventory of existing machines."""

from __future__ import annotations

from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.inventory_origins import ORIGINS, made_of
from pymachine.cli.options import command, with_options
from pymachine.errors import UsageFault


@command()
@with_options(ORIGINS)
@click.argument("hosts", nargs=-1, metavar="[USER@HOST[:PORT]]...")
@click.pass_obj
def import_(app: App, /, hosts: tuple[str, ...], **origin: Any) -> None:
    """Print an inventory of given hosts or of a docker-machine store; `pymachine init` writes it to a file."""
    text = made_of(hosts, **origin)
    if text is None:
        raise UsageFault(
            "nothing to import", hint="give user@host[:port], --from-hosts FILE or --from-docker-machine [FOLDER]"
        )
    click.echo(text, nl=False)
