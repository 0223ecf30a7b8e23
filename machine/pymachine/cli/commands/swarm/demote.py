"""``swarm demote``: demote managers to workers."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command
from pymachine.cli.swarm_nodes import change_all
from pymachine.swarm_api.view import WORKER


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def demote(app: App, names: tuple[str, ...]) -> None:
    """Demote managers to workers, one after another, while the others are a majority."""
    change_all(app, names, {"role": WORKER}, "is a worker")
