"""``version``: print the version of pymachine, or of a machine's engine."""

from __future__ import annotations

import click

from pymachine import __version__
from pymachine.cli.app import App
from pymachine.cli.lookup import ready
from pymachine.cli.options import JSON, command, complete_names
from pymachine.cli.output import dump, say
from pymachine.steps.renewal import client_folder

ASK_DEADLINE = 20.0


@command()
@JSON
@click.argument("name", required=False, shell_complete=complete_names)
@click.pass_obj
def version(app: App, name: str | None, as_json: bool) -> None:
    """Print the version of pymachine, or of a machine's engine."""
    if name is None:
        dump({"pymachine": __version__}) if as_json else say(f"pymachine {__version__}")
        return
    machine = ready(app, name)
    assert machine.endpoint is not None
    answer = app.ask_engine(
        machine.endpoint, client_folder(machine, app.store, app.ask_engine), deadline=ASK_DEADLINE
    )
    dump({"name": machine.name, "engine": answer.version}) if as_json else say(answer.version)
