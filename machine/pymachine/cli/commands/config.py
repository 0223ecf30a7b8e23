"""``config``: print the docker client's options for a machine."""

from __future__ import annotations

import click

from pymachine.cli import client_env
from pymachine.cli.app import App
from pymachine.cli.docker_client import CHECK, certificates_of, checked, document_of, warn_of_expiry
from pymachine.cli.lookup import ready
from pymachine.cli.options import JSON, NAME, command
from pymachine.cli.output import dump, note


@command()
@CHECK
@JSON
@NAME
@click.pass_obj
def config(app: App, name: str | None, check: bool, as_json: bool) -> None:
    """Print the docker client's options: docker $(pymachine config NAME) ps."""
    machine = checked(app, ready(app, name), check)
    certificates = certificates_of(app, machine)
    warn_of_expiry(app, machine)
    if as_json:
        dump(client_env.config_words(document_of(machine), certificates))
        return
    if client_env.has_blank(certificates):
        note(f"note: {certificates} has blanks, which $(…) splits: use `pymachine docker {machine.name}` instead")
    click.echo(client_env.config_text(document_of(machine), certificates), nl=False)
