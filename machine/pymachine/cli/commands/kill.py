"""``kill``: power machines off immediately."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command
from pymachine.cli.power_switch import FORCE, switch_off


@command()
@FORCE
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def kill(app: App, names: tuple[str, ...], force: bool) -> None:
    """Power machines off immediately.

    Managers without which a Swarm would lose its quorum are refused.
    """
    from pymachine.swarm import kill_node

    switch_off(app, names, kill_node, force=force)
