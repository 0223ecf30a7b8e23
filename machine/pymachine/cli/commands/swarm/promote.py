"""``swarm promote``: promote workers to managers."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command
from pymachine.cli.swarm_nodes import change_all
from pymachine.swarm_api.view import MANAGER


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def promote(app: App, names: tuple[str, ...]) -> None:
    """Promote workers to managers, one after another."""
    change_all(app, names, {"role": MANAGER}, "is a manager")
