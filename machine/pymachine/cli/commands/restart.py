"""``restart``: restart machines; Swarm nodes are drained meanwhile."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing, unlock
from pymachine.cli.options import FORCE_UNLOCK, NAMES, NO_DRAIN, command
from pymachine.cli.output import say
from pymachine.cli.parallel import for_each, stoppable


@command()
@NO_DRAIN
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def restart(app: App, names: tuple[str, ...], no_drain: bool) -> None:
    """Restart machines and wait for their engines.

    Swarm nodes are drained meanwhile, one after another.
    """
    from pymachine.swarm import restart_node, turns

    tools, stop = stoppable(app.tools)
    wanted = existing(app, names, careful=True)
    unlock(app, wanted)
    for_each(
        wanted,
        lambda name: restart_node(name, tools, drain=not no_drain),
        lambda name, _: say(f"{name} is running"),
        turns=turns(wanted, tools),
        stop=stop,
    )
