"""``status``: print the state of a machine in docker-machine's words; any state is a success."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.compat.states import TIMEOUT, their_state
from pymachine.cli.lookup import one
from pymachine.cli.options import NAME, command
from pymachine.cli.output import note, say
from pymachine.errors import PymachineError
from pymachine.model import State


@command()
@NAME
@click.pass_obj
def status(app: App, name: str | None) -> None:
    """Print the state of a machine."""
    from pymachine.probe import probe_machines

    machine = one(app, name)
    result = probe_machines([machine], app.tools, TIMEOUT)[machine.name]
    if result.state is State.ERROR:
        raise PymachineError(f"machine {machine.name} could not be asked: {result.reason}")
    say(their_state(result.state))
    if result.state is not State.RUNNING and result.reason:
        note(f"{machine.name}: {result.reason}")
