"""Commands on machines over pymachine's own connection, without ssh of this computer."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pymachine import ssh_client
from pymachine.cli.app import App
from pymachine.errors import PymachineError
from pymachine.model import Machine

RUN_DEADLINE = 86_400.0


def run_command(app: App, machine: Machine, arguments: Sequence[str]) -> int:
    """Run a command over pymachine's own connection, and return its exit code.

    Its output is printed at its end; there is no remote terminal. Raises ``PymachineError`` for anything but a
    command.
    """
    from pymachine.transport import Command

    words = list(arguments[1:] if arguments[:1] == ("--",) else arguments)
    if not words or words[0].startswith("-"):
        raise PymachineError("only commands work without ssh of this computer", hint=ssh_client.INSTALL["ssh"])
    assert machine.ssh is not None
    with app.tools.log_in(machine.name, machine.ssh, deadline=ssh_client.CONNECT_DEADLINE) as transport:
        given = b"" if os.isatty(0) else sys.stdin.buffer.read()
        result = transport.run(Command.script(" ".join(words)), stdin=given, deadline=RUN_DEADLINE)
    sys.stdout.buffer.write(result.stdout)
    sys.stderr.buffer.write(result.stderr)
    return result.exit_code
