"""``status``: print the state of one machine."""

from __future__ import annotations

import click

from pymachine.cli import quick_status
from pymachine.cli.app import App
from pymachine.cli.lookup import one
from pymachine.cli.options import JSON, NAME, SECONDS, command
from pymachine.cli.output import dump, note, say
from pymachine.documents import to_document
from pymachine.errors import PymachineError
from pymachine.model import State

NOT_SEEN = (State.UNREACHABLE, State.TIMEOUT, State.UNKNOWN)  # these want the reason beside them


@command()
@click.option(
    "--timeout",
    type=SECONDS,
    default=quick_status.DEADLINE,
    show_default=True,
    metavar="SECONDS",
    help="Time limit.",
)
@JSON
@NAME
@click.pass_obj
def status(app: App, name: str | None, timeout: float, as_json: bool) -> None:
    """Print the state of a machine: Running, Stopped, Unreachable …"""
    from pymachine.probe import probe_machines

    machine = one(app, name)
    result = probe_machines([machine], app.tools, timeout)[machine.name]
    if as_json:
        dump({"name": machine.name, "phase": machine.phase, **to_document(result)})
    else:
        say(result.state)
    if result.state is State.ERROR:
        raise PymachineError(f"machine {machine.name} could not be asked: {result.reason}")
    if result.reason and result.state in NOT_SEEN and not as_json:
        note(f"{machine.name}: {result.reason}")
