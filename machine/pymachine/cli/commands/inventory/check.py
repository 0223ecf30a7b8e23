"""``inventory check``: show how an inventory is understood, or its errors."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from pymachine.cli.app import App
from pymachine.cli.inventory_files import FILES, read_inventory
from pymachine.cli.options import command
from pymachine.cli.output import columns, counted, note, say
from pymachine.errors import UsageFault

if TYPE_CHECKING:
    from pymachine.fleet.inventory import Fleet


@command()
@FILES
@click.pass_obj
def check(app: App, files: tuple[str, ...]) -> None:
    """Show how an inventory is understood, or all its errors.

    Compose checks the files of stacks. No secret is read, and no machine is contacted.
    """
    understood = read_inventory(app, files)
    understood.check_secrets()
    fleet = understood.fleet
    if fleet.stacks:
        _check_stacks(app, fleet)
    say(f"fleet {fleet.name}: {counted(len(fleet.machines), 'machine')}")
    if fleet.machines:
        columns(("DRIVER", "MACHINES", "MANAGERS", "WORKERS", "NOT IN THE SWARM"), _rows(fleet))
    for stack in fleet.stacks:
        say(f"stack {stack.name}: {f'on {stack.on}' if stack.on else 'on the Swarm'}")
    for event, path in fleet.hooks.items():
        say(f"hook {event}: {path}")


def _check_stacks(app: App, fleet: Fleet) -> None:
    """Raise ``CheckFailed`` for stacks whose files Compose refuses; print a note if Compose could not be asked."""
    from dataclasses import replace

    from pymachine.fleet.apply.compose import resolve
    from pymachine.fleet.apply.subprocesses import Computer
    from pymachine.fleet.plan import Unresolved, Why

    computer = Computer(app.environ, app.wiring.run)
    # A secret has no value here, which is as good as any.
    given = [replace(one, environment={k: v or "unread" for k, v in one.environment.items()}) for one in fleet.stacks]
    answers = [answer for one in given if isinstance(answer := resolve(one, computer), Unresolved)]
    refused = [answer for answer in answers if answer.why is Why.REFUSED]
    if refused:
        told = "\n  ".join(answer.message for answer in refused)
        raise UsageFault(told, hint=refused[0].hint or None)
    for message in dict.fromkeys(answer.message for answer in answers):
        note(f"warning: the files of stacks were not read: {message}")


def _rows(fleet: Fleet) -> list[tuple[str, ...]]:
    counts = Counter((machine.driver, machine.swarm.role if machine.swarm else "") for machine in fleet.machines)
    drivers = dict.fromkeys(machine.driver for machine in fleet.machines)
    roles = ("manager", "worker", "")
    return [
        (driver, str(sum(counts[driver, role] for role in roles)), *(str(counts[driver, role]) for role in roles))
        for driver in drivers
    ]
