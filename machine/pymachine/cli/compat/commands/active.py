"""``active``: print the machine that this shell's docker client uses, if its engine answers."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.compat.app import NoneActive
from pymachine.cli.compat.states import TIMEOUT
from pymachine.cli.lookup import active_machine
from pymachine.cli.options import SECONDS, command
from pymachine.cli.output import say
from pymachine.model import State


@command()
@click.option(
    "-t", "--timeout", type=SECONDS, default=TIMEOUT, show_default=True, metavar="SECONDS",
    help="Time limit.",
)  # fmt: skip
@click.pass_obj
def active(app: App, timeout: float) -> None:
    """Print the machine that this shell's docker client uses."""
    from pymachine.probe import probe_machines

    machine = active_machine(app)
    if machine is None:
        raise NoneActive("DOCKER_HOST is the address of no machine")
    result = probe_machines([machine], app.tools, timeout)[machine.name]
    if result.state is not State.RUNNING:
        timed_out = result.state is State.TIMEOUT
        raise NoneActive(f"{machine.name} does not run", timed_out=timed_out, hint=result.reason or None)
    say(machine.name)
