"""``ssh``: log in with this computer's ssh, or with the built-in client."""

from __future__ import annotations

import shutil

import click

from pymachine.cli.commands.ssh import ssh as ours
from pymachine.cli.compat.app import CompatApp
from pymachine.cli.login import with_login
from pymachine.cli.lookup import one
from pymachine.cli.native_ssh import run_command
from pymachine.cli.options import NAME, command
from pymachine.cli.output import note
from pymachine.cli.programs import ARGUMENTS


@command(allow_interspersed_args=False)
@NAME
@ARGUMENTS
@click.pass_context
def ssh(ctx: click.Context, name: str | None, arguments: tuple[str, ...]) -> int | None:
    """Log in to a machine, or run a command there and return its exit code.

    With --native-ssh before the command, ssh of this computer is not used for commands.
    """
    app = ctx.ensure_object(CompatApp)
    if app.native_ssh and (arguments or shutil.which("ssh") is None):
        return run_command(app, with_login(app, one(app, name)), arguments)
    if app.native_ssh:
        note("note: the built-in SSH client has no terminal; ssh of this computer is used")
    code: int | None = ctx.invoke(ours, name=name, arguments=arguments)
    return code
