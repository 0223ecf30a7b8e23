"""``snapshot restore``: restore a snapshot of a machine."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import one
from pymachine.cli.options import FORCE_UNLOCK, JSON, NAME, YES, command, with_options
from pymachine.cli.output import dump, note, say
from pymachine.cli.snapshot_options import LABEL, at_hand, needs_label
from pymachine.model import State


@command()
@with_options((YES, FORCE_UNLOCK, JSON, NAME, LABEL))
@click.pass_obj
def restore(app: App, name: str | None, label: str | None, yes: bool, as_json: bool) -> None:
    """Restore a snapshot; the current state of the machine is lost."""
    from pymachine.swarm import restore_node

    if label is None:
        raise needs_label("restore")
    machine = one(app, name, careful=True).name
    instead = f"use -y to restore without confirmation: pymachine snapshot restore -y {machine} {label}"
    question = f"The current state of {machine} is lost when {label} is restored. Continue?"
    if not (yes or app.asker.confirm(question, instead=instead)):
        note("nothing was changed")
        return
    state = restore_node(at_hand(app, machine), label, app.tools)
    if as_json:
        dump({"machine": machine, "snapshot": label, "state": state})
    else:
        say(f"{machine} is restored to {label}, {_in_words(state)}")


def _in_words(state: State) -> str:
    return {State.RUNNING: "running", State.STOPPED: "switched off"}.get(state, state.lower())
