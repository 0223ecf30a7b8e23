"""``ip``: print the addresses of machines."""

from __future__ import annotations

import click

from pymachine.cli import client_env
from pymachine.cli.app import App
from pymachine.cli.docker_client import document_of
from pymachine.cli.lookup import existing, one
from pymachine.cli.options import JSON, NAMES, command
from pymachine.cli.output import dump_plain, say
from pymachine.errors import PymachineError


@command()
@JSON
@NAMES
@click.pass_obj
def ip(app: App, names: tuple[str, ...], as_json: bool) -> None:
    """Print the addresses of machines, one per line."""
    found = {name: client_env.address_of(document_of(one(app, name))) for name in existing(app, names)}
    unknown = [name for name, address in found.items() if not address]
    if unknown:
        raise PymachineError(
            f"no address is known for {', '.join(unknown)}",
            hint="its create did not get that far; run the create command again",
        )
    if as_json:
        dump_plain(found)
        return
    for address in found.values():
        say(address)
