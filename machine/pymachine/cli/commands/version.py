"""``version``: print the version of pymachine, or of a machine's engine."""

from __future__ import annotations

from collections.abc import Mapping

import click

from pymachine import __version__
from pymachine.cli.app import App
from pymachine.cli.lookup import ready
from pymachine.cli.options import FORMAT, JSON, command, complete_names
from pymachine.cli.output import dump, say
from pymachine.steps.renewal import client_folder

ASK_DEADLINE = 20.0


@command()
@FORMAT
@JSON
@click.argument("name", required=False, shell_complete=complete_names)
@click.pass_obj
def version(app: App, name: str | None, template: str | None, as_json: bool) -> None:
    """Print the version of pymachine, or of a machine's engine."""
    if name is None:
        _tell({"pymachine": __version__}, f"pymachine {__version__}", template, as_json)
        return
    machine = ready(app, name)
    assert machine.endpoint is not None
    answer = app.ask_engine(machine.endpoint, client_folder(machine, app), deadline=ASK_DEADLINE)
    _tell({"name": machine.name, "engine": answer.version}, answer.version, template, as_json)


def _tell(document: Mapping[str, str], text: str, template: str | None, as_json: bool) -> None:
    if template is not None:
        from pymachine.cli.formats import print_document

        print_document(document, document, template)
    elif as_json:
        dump(dict(document))
    else:
        say(text)
