"""``active``: print the machine that this shell's docker client uses."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import active_machine, url_or_none
from pymachine.cli.options import JSON, command
from pymachine.cli.output import dump, say
from pymachine.errors import PymachineError


@command()
@JSON
@click.pass_obj
def active(app: App, as_json: bool) -> None:
    """Print the machine that this shell's docker client uses."""
    machine = active_machine(app)
    if machine is None:
        raise PymachineError("no machine is active", hint='eval "$(pymachine env NAME)" makes one active')
    dump({"name": machine.name, "url": url_or_none(machine)}) if as_json else say(machine.name)
