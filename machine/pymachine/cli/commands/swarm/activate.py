"""``swarm activate``: let nodes run tasks again."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command
from pymachine.cli.swarm_nodes import change_all


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def activate(app: App, names: tuple[str, ...]) -> None:
    """Let nodes run tasks again."""
    change_all(app, names, {"availability": "active"}, "is active")
