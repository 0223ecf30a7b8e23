"""The password for sudo: asked for when sudo asks, kept for the connection, never on a command line."""

from __future__ import annotations

import threading

from pymachine.errors import SudoFailed
from pymachine.events import Asker

ASKS = 2  # a person may mistype once; more tries could lock the account (pam_faillock)


class SudoPassword:
    """The password of one account on one host. ``who`` is ``user@host:port``."""

    def __init__(self, asker: Asker, who: str) -> None:
        self._asker = asker
        self._who = who
        self._known: str | None = None
        self._asked = 0
        self._lock = threading.Lock()

    def answer(self, prompt: int, previous: str | None = None) -> str:
        """Return the answer for the ``prompt``-th time (from 1) that sudo asks within one command.

        ``previous`` is the wrong answer before in the same command. Commands at the same time share one question.
        Raises ``SudoFailed`` after two wrong answers, ``UsageFault`` without a terminal.
        """
        with self._lock:
            if previous is not None and self._known == previous:
                self._known = None
            if self._known is None:
                self._known = self._ask(prompt)
            return self._known

    def _ask(self, prompt: int) -> str:
        if self._asked >= ASKS:
            raise SudoFailed(
                f"sudo refused the password of {self._who}", hint="check it on the host: sudo -k && sudo -v"
            )
        self._asked += 1
        again = " (incorrect, try again)" if prompt > 1 else ""
        return self._asker.secret(
            f"sudo password of {self._who}{again}",
            instead="allow the account sudo without a password (NOPASSWD), or log in as root",
        )
