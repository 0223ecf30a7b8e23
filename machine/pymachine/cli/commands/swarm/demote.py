"""``swarm demote``: managers made workers."""

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
    """Make managers workers, one after another, as long as the rest are a majority."""
    change_all(app, names, {"role": WORKER}, "is a worker")
