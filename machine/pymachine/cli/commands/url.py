"""``url``: print the address of a machine's engine."""

from __future__ import annotations

import click

from pymachine.cli import client_env
from pymachine.cli.app import App
from pymachine.cli.docker_client import document_of
from pymachine.cli.lookup import ready
from pymachine.cli.options import JSON, NAME, command
from pymachine.cli.output import dump, say


@command()
@JSON
@NAME
@click.pass_obj
def url(app: App, name: str | None, as_json: bool) -> None:
    """Print the address of a machine's engine, for DOCKER_HOST."""
    machine = ready(app, name)
    found = client_env.url_of(document_of(machine))
    dump({"name": machine.name, "url": found}) if as_json else say(found)
