"""What happens while a command works or looks, and how it asks a person: seams, no I/O.

The command line implements both; tests use the fakes in ``pymachine.testing``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Protocol

_NAMED = 3


class Reporter(Protocol):
    """Told of each step as it happens, from any thread.

    ``machine`` is the machine's name, ``step`` the step's title ("installing the engine").
    """

    def started(self, machine: str, step: str) -> None:
        """A step begins."""

    def progressed(self, machine: str, step: str, message: str) -> None:
        """Something worth a line of live output happened within a step."""

    def finished(self, machine: str, step: str, note: str = "") -> None:
        """A step is done; ``note`` is what the user may want to know of it."""

    def failed(self, machine: str, step: str, error: str) -> None:
        """A step failed; the error follows as an exception as well."""

    def notice(self, machine: str, message: str) -> None:
        """A fact or warning outside any step: a host key that was pinned, a container that will restart."""


class ShowsSurveys(Protocol):
    """What a reporter can do besides, on a terminal: show how far a look at many has come. Called from any thread."""

    def surveying(self, what: str, done: int, count: int, left: Sequence[str]) -> None:
        """``done`` of ``count`` were seen, 0 where they are not counted; ``left`` names some of the others.

        An empty ``what`` ends it.
        """


@contextmanager
def surveying(reporter: object, what: str, names: Iterable[str] | None = None) -> Iterator[Callable[[str], None]]:
    """Tell a reporter that can show it of a look at ``names``; lend what is to be called with each that was seen.

    Without names it is not counted; of a look at none nothing is told.
    """
    show, left, lock = getattr(reporter, "surveying", None), dict.fromkeys(names or ()), threading.Lock()
    if show is None or (names is not None and not left):
        yield lambda name: None
        return
    count = len(left)

    def tell() -> None:
        show(what, count - len(left), count, tuple(islice(left, _NAMED)))

    def seen(name: str) -> None:
        with lock:
            left.pop(name, None)
            tell()

    tell()
    try:
        yield seen
    finally:
        show("", 0, 0, ())


class Silent:
    """A reporter that keeps nothing."""

    def started(self, machine: str, step: str) -> None:
        """Ignore."""

    def progressed(self, machine: str, step: str, message: str) -> None:
        """Ignore."""

    def finished(self, machine: str, step: str, note: str = "") -> None:
        """Ignore."""

    def failed(self, machine: str, step: str, error: str) -> None:
        """Ignore."""

    def notice(self, machine: str, message: str) -> None:
        """Ignore."""


class Asker(Protocol):
    """Asks the person at the terminal. Where there is none, both raise ``UsageFault`` with what to give instead."""

    def secret(self, prompt: str, *, instead: str) -> str:
        """Ask for a password or passphrase without echo; ``instead`` says how to do without the question."""

    def confirm(self, question: str, *, instead: str) -> bool:
        """Ask a yes/no question; any answer but y or yes means no."""
