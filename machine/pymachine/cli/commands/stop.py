"""``stop``: machines shut down."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command
from pymachine.cli.power_switch import switch


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def stop(app: App, names: tuple[str, ...]) -> None:
    """Shut machines down gracefully."""
    switch(app, names, "stop", "is stopped")
