"""``start``: power machines on."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command
from pymachine.cli.power_switch import switch


@command()
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def start(app: App, names: tuple[str, ...]) -> None:
    """Start machines and wait for their engines."""
    from pymachine import power

    switch(app, names, power.start, "is running")
