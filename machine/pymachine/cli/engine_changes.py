"""Changes of the engines of several machines by ``provision`` and ``upgrade``: shown or executed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pymachine.cli.app import App
from pymachine.cli.lookup import existing, unlock
from pymachine.cli.output import dump, say
from pymachine.cli.parallel import for_each, stoppable
from pymachine.cli.plan_output import ready_line, show_plans
from pymachine.model import Machine
from pymachine.redaction import machine_document

if TYPE_CHECKING:
    from pymachine.steps.preview import Preview
    from pymachine.steps.services import Services


def show_changes(
    app: App, names: Sequence[str], preview: Callable[[str], Preview], as_json: bool, *, drain: bool
) -> None:
    """Print what would be done to the machines; ``drain`` includes the drains of Swarm nodes."""
    from pymachine.swarm import drained_in

    def preview_one(name: str) -> Preview:
        return drained_in(preview(name), app.tools) if drain else preview(name)

    found: dict[str, Preview] = {}
    wanted = existing(app, names, careful=True)
    for_each(wanted, preview_one, found.__setitem__)
    app.settle()
    show_plans([found[name] for name in wanted], as_json=as_json)


def make_changes(app: App, names: Sequence[str], verb: Callable[[str, Services], Machine], as_json: bool) -> None:
    """Change the machines, Swarm nodes one after another, and print each one that is ready."""
    from pymachine.swarm import turns

    began = app.wiring.now()
    done: list[Machine] = []

    def tell(name: str, machine: Machine) -> None:
        done.append(machine)
        if not as_json:
            say(ready_line(machine, app.wiring.now() - began))

    wanted = existing(app, names, careful=True)
    unlock(app, wanted)
    tools, stop = stoppable(app.tools)
    try:
        for_each(wanted, lambda name: verb(name, tools), tell, turns=turns(wanted, tools), stop=stop)
    finally:
        if as_json:
            dump([machine_document(machine) for machine in done])
