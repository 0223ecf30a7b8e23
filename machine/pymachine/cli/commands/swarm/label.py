"""``swarm label``: set labels of a node."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.lookup import unlock as take_leases
from pymachine.cli.options import FORCE_UNLOCK, NAME, command
from pymachine.cli.output import say
from pymachine.cli.swarm_output import (
    read_labels,
)
from pymachine.errors import UsageFault


@command()
@FORCE_UNLOCK
@NAME
@click.argument("labels", nargs=-1, metavar="[KEY=VALUE|KEY-]...")
@click.pass_obj
def label(app: App, name: str | None, labels: tuple[str, ...]) -> None:
    """Set labels of a node, for placement constraints; KEY- removes one."""
    if name is None or not labels:
        raise UsageFault("label needs a machine and labels", hint="pymachine swarm label NAME tier=web old-")
    put, drop = read_labels(labels)
    (known,) = existing(app, [name])
    take_leases(app, [known])
    from pymachine import swarm as verbs

    verbs.label(known, app.tools, put=put, drop=drop)
    say(f"{known} has its labels")
