"""``status``, ``inspect``, ``active``: one machine, looked at from near."""

from __future__ import annotations

import click

from pymachine.cli import quick_status
from pymachine.cli.app import App
from pymachine.cli.lookup import one
from pymachine.cli.options import JSON, NAME, command
from pymachine.cli.output import dump, note, say
from pymachine.documents import to_document
from pymachine.errors import PymachineError
from pymachine.model import Machine, State
from pymachine.redaction import machine_document
from pymachine.store import readable

NOT_SEEN = (State.UNREACHABLE, State.TIMEOUT, State.UNKNOWN)  # these want the reason beside them


@command()
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=quick_status.DEADLINE, show_default=True, metavar="SECONDS"
)
@JSON
@NAME
@click.pass_obj
def status(app: App, name: str | None, timeout: float, as_json: bool) -> None:
    """Print the state of a machine: Running, Stopped, Unreachable …"""
    from pymachine.probe import look_at

    machine = one(app, name)
    look = look_at([machine], app.tools, timeout)[machine.name]
    if as_json:
        dump({"name": machine.name, "phase": machine.phase, **to_document(look)})
    else:
        say(look.state)
    if look.state is State.ERROR:
        raise PymachineError(f"machine {machine.name} could not be asked: {look.reason}")
    if look.reason and look.state in NOT_SEEN and not as_json:
        note(f"{machine.name}: {look.reason}")


@command()
@click.option("--json", is_flag=True, expose_value=False, help="Accepted for consistency; output is always JSON.")
@NAME
@click.pass_obj
def inspect(app: App, name: str | None) -> None:
    """Print the record of a machine as JSON.

    What may be secret is left out.
    """
    dump(machine_document(one(app, name)))


@command()
@JSON
@click.pass_obj
def active(app: App, as_json: bool) -> None:
    """Print the machine that this shell's docker client uses."""
    machine = active_machine(app)
    if machine is None:
        raise PymachineError("no machine is active", hint='eval "$(pymachine env NAME)" makes one active')
    dump({"name": machine.name, "url": url_or_none(machine)}) if as_json else say(machine.name)


def active_machine(app: App) -> Machine | None:
    """Return the machine at DOCKER_HOST; of several at one address, the one that DOCKER_MACHINE_NAME names."""
    wanted = app.environ.get("DOCKER_HOST")
    found = [machine for machine in readable(app.store) if wanted and url_or_none(machine) == wanted]
    named = [machine for machine in found if machine.name == app.environ.get("DOCKER_MACHINE_NAME")]
    return next(iter(named or found), None)


def url_or_none(machine: Machine) -> str | None:
    """Return the address of the engine, if it is known."""
    return machine.endpoint.url if machine.endpoint else None
