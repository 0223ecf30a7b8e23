"""``ssh``: run this computer's ssh, or use pymachine's own connection if there is none."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

import click

from pymachine import ssh_client
from pymachine.cli.app import App
from pymachine.cli.login import with_login
from pymachine.cli.lookup import one
from pymachine.cli.options import NAME, command
from pymachine.cli.programs import ARGUMENTS, become
from pymachine.errors import PymachineError
from pymachine.model import Machine

RUN_DEADLINE = 86_400.0


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
        return _without_ssh(app, machine, arguments)
    become(app, config.ssh(machine.name, arguments), app.environ)
    return None


def _without_ssh(app: App, machine: Machine, arguments: Sequence[str]) -> int:
    """Run a command over pymachine's own connection.

    Its output is printed at its end; there is no remote terminal.
    """
    from pymachine.transport import Command

    words = list(arguments[1:] if arguments[:1] == ("--",) else arguments)
    if not words or words[0].startswith("-"):
        raise PymachineError(
            "ssh is not installed on this computer; only commands work without it", hint=ssh_client.INSTALL["ssh"]
        )
    assert machine.ssh is not None
    notice = app.reporter.notice
    with app.tools.connect(
        machine.ssh,
        asker=app.asker,
        notice=lambda text: notice(machine.name, text),
        deadline=ssh_client.CONNECT_DEADLINE,
    ) as transport:
        given = b"" if os.isatty(0) else sys.stdin.buffer.read()
        result = transport.run(Command.script(" ".join(words)), stdin=given, deadline=RUN_DEADLINE)
    sys.stdout.buffer.write(result.stdout)
    sys.stderr.buffer.write(result.stderr)
    return result.exit_code
