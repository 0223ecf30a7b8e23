"""``inspect``: print the record of a machine."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import one
from pymachine.cli.options import FORMAT, NAME, command
from pymachine.cli.output import dump
from pymachine.redaction import machine_document
from pymachine.store.client_files import materialised


@command()
@click.option("--json", is_flag=True, expose_value=False, help="Accepted for consistency; output is always JSON.")
@FORMAT
@NAME
@click.pass_obj
def inspect(app: App, name: str | None, template: str | None) -> None:
    """Print the record of a machine as JSON.

    Possible secrets are hidden. A template has the fields of this record and those of docker-machine's:
    {{.endpoint.host}} and {{.Driver.IPAddress}}.
    """
    machine = one(app, name)
    document = machine_document(machine)
    if template is None:
        dump(document)
        return
    from pymachine.cli.formats import print_document
    from pymachine.docker_machine.view import config_of
    from pymachine.gotemplate import decoded

    # Who asks for the folder takes the client's files from it: they are written if need be.
    client = materialised(app.store, machine.name) or app.store.client_folder(machine.name)
    theirs = config_of(machine, app.folder, client)
    print_document(document, {**document, **decoded(theirs)}, template)
