"""``config``: print the docker client's options for a machine whose engine answers."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.commands.config import config as ours
from pymachine.cli.compat.engine_check import SWARM, answered
from pymachine.cli.options import NAME, command


@command()
@SWARM
@NAME
@click.pass_context
def config(ctx: click.Context, name: str | None, swarm: bool) -> None:
    """Print the docker client's options for a machine, whose engine is asked first."""
    with answered(ctx.ensure_object(App), name, swarm):
        ctx.invoke(ours, name=name, check=True)
