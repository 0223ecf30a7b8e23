"""``snapshot create``: save the state of a machine."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from pymachine.cli.app import App
from pymachine.cli.options import FORCE_UNLOCK, JSON, NAME, command
from pymachine.cli.output import dump, say
from pymachine.cli.snapshot_options import LABEL, at_hand


@command()
@FORCE_UNLOCK
@JSON
@NAME
@LABEL
@click.pass_obj
def create(app: App, name: str | None, label: str | None, as_json: bool) -> None:
    """Save the state of a machine; if it runs, with its memory.

    The default name of the snapshot is the time (UTC).
    """
    from pymachine.swarm import snapshot_node

    chosen = label or datetime.fromtimestamp(app.wiring.now(), UTC).strftime("%Y-%m-%d-%H%M%S")
    machine = at_hand(app, name)
    snapshot_node(machine, chosen, app.tools)
    dump({"machine": machine, "snapshot": chosen}) if as_json else say(f"snapshot {chosen} of {machine} is created")
