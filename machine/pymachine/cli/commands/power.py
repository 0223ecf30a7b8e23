"""``start``, ``stop``, ``kill``, ``restart``: one or several machines, on and off."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing, unlock
from pymachine.cli.options import FORCE_UNLOCK, NAMES, NO_DRAIN, command
from pymachine.cli.output import say
from pymachine.cli.parallel import for_each, stoppable


def _switch(app: App, names: tuple[str, ...], verb: str, outcome: str) -> None:
    from pymachine import power, swarm

    tools, stop = stoppable(app.tools)
    action = {"start": power.start, "stop": swarm.stop_node, "kill": swarm.kill_node}[verb]
    wanted = existing(app, names)
    unlock(app, wanted)
    for_each(wanted, lambda name: action(name, tools), lambda name, _: say(f"{name} {outcome}"), stop=stop)


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def start(app: App, names: tuple[str, ...]) -> None:
    """Start machines and wait for their engines."""
    _switch(app, names, "start", "is running")


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def stop(app: App, names: tuple[str, ...]) -> None:
    """Shut machines down gracefully."""
    _switch(app, names, "stop", "is stopped")


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def kill(app: App, names: tuple[str, ...]) -> None:
    """Power machines off immediately."""
    _switch(app, names, "kill", "is stopped")


@command()
@NO_DRAIN
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def restart(app: App, names: tuple[str, ...], no_drain: bool) -> None:
    """Restart machines and wait for their engines.

    Nodes of a Swarm are drained meanwhile, one after another.
    """
    from pymachine.swarm import restart_node, turns

    tools, stop = stoppable(app.tools)
    wanted = existing(app, names)
    unlock(app, wanted)
    for_each(
        wanted,
        lambda name: restart_node(name, tools, drain=not no_drain),
        lambda name, _: say(f"{name} is running"),
        turns=turns(wanted, tools),
        stop=stop,
    )
