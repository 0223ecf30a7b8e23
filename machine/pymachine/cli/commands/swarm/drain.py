"""``swarm drain``: drain nodes."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command
from pymachine.cli.swarm_nodes import change_all


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def drain(app: App, names: tuple[str, ...]) -> None:
    """Drain nodes, and wait until their tasks have stopped."""
    change_all(app, names, {"availability": "drain"}, "is drained")
