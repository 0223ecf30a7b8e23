"""``snapshot rm``: delete snapshots."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.options import FORCE_UNLOCK, NAME, command
from pymachine.cli.output import say
from pymachine.cli.parallel import one_by_one
from pymachine.cli.snapshot_options import at_hand, needs_label


@command()
@FORCE_UNLOCK
@NAME
@click.argument("labels", nargs=-1, metavar="[SNAPSHOT]...")
@click.pass_obj
def rm(app: App, name: str | None, labels: tuple[str, ...]) -> None:
    """Delete snapshots of a machine; the machine does not change."""
    from pymachine import snapshots

    if not labels:
        raise needs_label("rm")
    machine = at_hand(app, name)
    one_by_one(
        list(dict.fromkeys(labels)),
        lambda label: snapshots.drop_snapshot(machine, label, app.tools),
        lambda label, _: say(f"snapshot {label} of {machine} is removed"),
    )
