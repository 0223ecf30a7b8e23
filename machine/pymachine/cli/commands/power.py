"""``start``, ``stop``, ``kill``, ``restart``: one or several machines, on and off."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.machines import existing
from pymachine.cli.output import say
from pymachine.cli.params import NAMES, command
from pymachine.cli.several import for_each


def _switch(app: App, names: tuple[str, ...], verb: str, outcome: str) -> None:
    from pymachine import power

    tools = app.tools
    action = getattr(power, verb)
    for_each(existing(app, names), lambda name: action(name, tools), lambda name, _: say(f"{name} {outcome}"))


@command()
@NAMES
@click.pass_obj
def start(app: App, names: tuple[str, ...]) -> None:
    """Switch machines on and wait for their engines."""
    _switch(app, names, "start", "is running")


@command()
@NAMES
@click.pass_obj
def stop(app: App, names: tuple[str, ...]) -> None:
    """Shut machines down in order."""
    _switch(app, names, "stop", "is stopped")


@command()
@NAMES
@click.pass_obj
def kill(app: App, names: tuple[str, ...]) -> None:
    """Cut the power of machines."""
    _switch(app, names, "kill", "is stopped")


@command()
@NAMES
@click.pass_obj
def restart(app: App, names: tuple[str, ...]) -> None:
    """Restart machines and wait for their engines."""
    _switch(app, names, "restart", "is running")
