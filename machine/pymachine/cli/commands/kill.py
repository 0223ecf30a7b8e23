"""``kill``: machines powered off at once."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command
from pymachine.cli.power_switch import switch


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def kill(app: App, names: tuple[str, ...]) -> None:
    """Power machines off immediately."""
    switch(app, names, "kill", "is stopped")
