"""One run under the name docker-machine: what its callers expect of names, messages and exit codes."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING

from pymachine.cli.app import App
from pymachine.cli.client_env import is_on_path
from pymachine.cli.dependencies import Wiring
from pymachine.errors import (
    CheckFailed,
    DriverMissing,
    Interrupted,
    MachineExists,
    NameMissing,
    NoSuchMachine,
    PymachineError,
)
from pymachine.override import override

if TYPE_CHECKING:
    from pymachine.events import Asker

PROGRAM = "docker-machine"
FAILED = 1
CREATE = "create"


class HostDown(PymachineError):
    """The machine is known not to run; ``what`` is the question that it cannot answer, empty for none."""

    def __init__(self, message: str, *, what: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.what = what


class NoneActive(PymachineError):
    """No machine is the one that the docker client uses; ``timed_out`` says that its engine did not answer."""

    def __init__(self, message: str, *, timed_out: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.timed_out = timed_out


class CompatApp(App):
    """What the commands share under the name docker-machine.

    ``started`` is the path of the program, ``command`` the command that runs, ``native_ssh`` what --native-ssh asks
    for, and ``authority`` the flags of the --tls-… files that were given.
    """

    program = PROGRAM
    go_flags = True

    def __init__(self, wiring: Wiring, started: str) -> None:
        super().__init__(wiring)
        self.started = started
        self.command = ""
        self.native_ssh = False
        self.authority: dict[str, str] = {}

    @override
    def start_words(self) -> list[str]:
        """Return the words that start this program again."""
        name = os.path.basename(self.started)  # noqa: PTH119
        on_path = "/" not in self.started or is_on_path(self.started, name, self.environ)
        return [name if on_path else os.path.abspath(self.started)]  # noqa: PTH100

    @cached_property
    @override
    def asker(self) -> Asker:
        """Who asks the person; an answer on standard input counts, as for docker-machine."""
        asker = super().asker
        if self.wiring.asker is not None or sys.stdin.isatty():
            return asker
        from pymachine.cli.compat.piped_answers import PipedAsker

        return PipedAsker(sys.stdin, sys.stdout, asker)

    @override
    def message(self, error: PymachineError) -> str | None:
        """Return the line that scripts look for; None for an error that docker-machine does not have."""
        if isinstance(error, NoSuchMachine) and error.names:
            return _unknown(error.names[0])
        if isinstance(error, MachineExists):
            return f'Docker machine "{error.name}" already exists'
        if isinstance(error, NameMissing):
            return 'Error: No machine name(s) specified and no "default" machine exists'
        if isinstance(error, DriverMissing) and error.unknown:
            return _no_driver(error.unknown)
        if isinstance(error, HostDown):
            return f"Error {error.what}: Host is not running" if error.what else "Host is not running"
        if isinstance(error, NoneActive):
            return "Error getting active host: timeout" if error.timed_out else "No active host found"
        return None

    @override
    def exit_code(self, error: PymachineError) -> int:
        """Return 1, but 3 where a create made nothing, and 130 for an interruption."""
        refused = self.command == CREATE and error.exit_code == CheckFailed.exit_code
        known = isinstance(error, MachineExists)  # docker-machine looks for it before its checks
        return error.exit_code if isinstance(error, Interrupted) or (refused and not known) else FAILED


def _unknown(name: str) -> str:
    return (
        f'Docker machine "{name}" does not exist. Use "{PROGRAM} ls" to list machines. '
        f'Use "{PROGRAM} create" to add a new one.'
    )


def _no_driver(name: str) -> str:
    return (
        f'Driver "{name}" not found. '
        f'Do you have the plugin binary "docker-machine-driver-{name}" accessible in your PATH?'
    )
