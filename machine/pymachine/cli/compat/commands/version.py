"""``version``: of docker-machine as emulated, or of a machine's engine."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.commands.version import version as ours
from pymachine.cli.compat.states import down
from pymachine.cli.compat.version_line import VERSION_LINE
from pymachine.cli.lookup import ready
from pymachine.cli.options import FORMAT, command, complete_names
from pymachine.cli.output import say
from pymachine.errors import Unreachable


@command()
@FORMAT
@click.argument("name", required=False, shell_complete=complete_names)
@click.pass_context
def version(ctx: click.Context, name: str | None, template: str | None) -> None:
    """Print the version of docker-machine, or of a machine's engine."""
    if name is None and template is None:
        say(VERSION_LINE)
        return
    try:
        ctx.invoke(ours, name=name, template=template)
    except Unreachable as error:
        app = ctx.ensure_object(App)
        raise down(app, ready(app, name), error, "") from None
