"""``clone``: create a machine as a copy of another one, with its disk."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import one, unlock
from pymachine.cli.options import FORCE_UNLOCK, JSON, command, complete_names
from pymachine.cli.output import dump, say
from pymachine.cli.plan_output import next_line, ready_line
from pymachine.errors import UsageFault
from pymachine.redaction import machine_document


@command()
@FORCE_UNLOCK
@JSON
@click.argument("source", required=False, shell_complete=complete_names)
@click.argument("name", required=False, metavar="[NEW]")
@click.pass_obj
def clone(app: App, source: str | None, name: str | None, as_json: bool) -> None:
    """Create a machine as a copy of a stopped one.

    It has the whole disk of the other machine, but its own certificates, keys, address and identity. Run the command
    again to continue a clone that stopped half-way.
    """
    from pymachine.clone import clone as make

    if source is None or name is None:
        raise UsageFault("clone needs a machine and a name for its copy", hint="pymachine clone SOURCE NEW")
    original = one(app, source).name
    unlock(app, [original, name])
    began = app.wiring.now()
    machine = make(original, name, app.tools)
    app.settle()
    if as_json:
        dump(machine_document(machine))
        return
    say(ready_line(machine, app.wiring.now() - began))
    say(next_line(app, machine))
