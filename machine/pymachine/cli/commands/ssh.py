"""``ssh``: run this computer's ssh, or use pymachine's own connection if there is none."""

from __future__ import annotations

import shutil

import click

from pymachine import ssh_client
from pymachine.cli.app import App
from pymachine.cli.login import with_login
from pymachine.cli.lookup import one
from pymachine.cli.native_ssh import run_command
from pymachine.cli.options import NAME, command
from pymachine.cli.programs import ARGUMENTS, become


@command(allow_interspersed_args=False)
@NAME
@ARGUMENTS
@click.pass_obj
def ssh(app: App, name: str | None, arguments: tuple[str, ...]) -> int | None:
    """Log in to a machine, or run a command there and return its exit code.

    The arguments are those of ssh: its options come first, -- ends them, and the words of the command are joined by
    blanks for the remote shell.
    """
    machine = with_login(app, one(app, name))
    config = ssh_client.write_ssh_config(app.folder, [machine])
    if shutil.which("ssh") is None:
        return run_command(app, machine, arguments)
    become(app, config.ssh(machine.name, arguments), app.environ)
    return None
