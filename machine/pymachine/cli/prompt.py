"""Questions to the user on the controlling terminal, whatever standard input is.

All questions of the command line are asked here. Input that was typed before a question is discarded, because it
cannot be its answer.
"""

from __future__ import annotations

import os
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pymachine.errors import Interrupted, UsageFault
from pymachine.events import Reporter
from pymachine.printable import printable

TERMINAL = Path("/dev/tty")
YES = (b"y", b"yes")


class TerminalAsker:
    """Asks on the controlling terminal, one question at a time; the reporter pauses meanwhile."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._lock = threading.Lock()

    def secret(self, prompt: str, *, instead: str) -> str:
        """Ask without echo. Raises ``UsageFault`` without a terminal."""
        import getpass

        with self._terminal(f"for the {prompt}", instead):
            try:
                return getpass.getpass(f"{printable(prompt)}: ")
            except EOFError:
                raise Interrupted(f"no {prompt} was given", hint=instead) from None

    def confirm(self, question: str, *, instead: str) -> bool:
        """Ask yes or no; only y and yes mean yes. Raises ``UsageFault`` without a terminal."""
        with self._terminal("whether to continue", instead), TERMINAL.open("r+b", buffering=0) as terminal:
            terminal.write(f"{printable(question)} [y/N] ".encode())
            return terminal.readline().strip().lower() in YES

    @contextmanager
    def _terminal(self, asked: str, instead: str) -> Iterator[None]:
        if not _has_terminal():
            raise UsageFault(f"no terminal to ask {asked}", hint=instead)
        paused = getattr(self._reporter, "paused", nullcontext)
        with self._lock, paused():
            _forget_input()
            yield


def _has_terminal() -> bool:
    """Whether a question can be answered: a background job would be stopped by the first read."""
    try:
        descriptor = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _forget_input() -> None:
    """Discard input that was typed and not read yet, incomplete lines too."""
    descriptor = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY)
    try:
        termios.tcflush(descriptor, termios.TCIFLUSH)
    finally:
        os.close(descriptor)
