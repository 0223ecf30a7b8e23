"""``env``: print the environment for a machine whose engine answers."""

from __future__ import annotations

from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.commands.env import env as ours
from pymachine.cli.compat.engine_check import SWARM, answered
from pymachine.cli.options import NAME, command


@command()
@SWARM
@click.option("--shell", metavar="SHELL", help="bash, zsh, sh, fish, powershell, cmd, tcsh, emacs.")
@click.option("-u", "--unset", is_flag=True, help="Print commands that unset the variables.")
@click.option("--no-proxy", is_flag=True, help="Add the machine to NO_PROXY; with -u, remove it.")
@NAME
@click.pass_context
def env(ctx: click.Context, /, name: str | None, swarm: bool, **given: Any) -> None:
    """Print the environment for using a machine with the docker client."""
    if given["unset"]:
        ctx.invoke(ours, name=name, **given)
        return
    with answered(ctx.ensure_object(App), name, swarm):
        ctx.invoke(ours, name=name, check=True, **given)
