"""``inspect``: print a machine as docker-machine does."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.commands.inspect import inspect as ours
from pymachine.cli.lookup import one
from pymachine.cli.options import FORMAT, NAME, command
from pymachine.cli.output import dump_plain


@command()
@FORMAT
@NAME
@click.pass_context
def inspect(ctx: click.Context, name: str | None, template: str | None) -> None:
    """Print a machine as JSON, with the keys of docker-machine."""
    if template is not None:
        ctx.invoke(ours, name=name, template=template)
        return
    from pymachine.docker_machine.view import config_of

    app = ctx.ensure_object(App)
    machine = one(app, name)
    dump_plain(config_of(machine, app.folder, app.store.client_folder(machine.name)), indent=4)
