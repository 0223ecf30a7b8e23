"""``url``: print the address of the engine of a machine that runs."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.commands.url import url as ours
from pymachine.cli.compat.states import refuse_down
from pymachine.cli.lookup import ready
from pymachine.cli.options import NAME, command


@command()
@NAME
@click.pass_context
def url(ctx: click.Context, name: str | None) -> None:
    """Print the address of a machine's engine, for DOCKER_HOST."""
    app = ctx.ensure_object(App)
    refuse_down(app, ready(app, name))
    ctx.invoke(ours, name=name)
