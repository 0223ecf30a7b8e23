"""Where work in threads can be stopped: between two steps, when a verb has saved what it did and can go on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from pymachine.errors import Interrupted
from pymachine.events import Reporter

if TYPE_CHECKING:
    from pymachine.steps.services import Services


class Stoppable:
    """A reporter that passes everything on; after ``stop`` the next step that begins raises ``Interrupted``."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let no further step begin."""
        self._stopped.set()

    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopped.is_set()

    def unstopped(self) -> Self:
        """Return another one of the same listeners that was not stopped: for what has to be put right after all."""
        return type(self)(self._reporter)

    def started(self, machine: str, step: str) -> None:
        """Pass it on, unless all is to stop."""
        if self._stopped.is_set():
            raise Interrupted(f"interrupted before {step}", hint="run the command again to continue")
        self._reporter.started(machine, step)

    def progressed(self, machine: str, step: str, message: str) -> None:
        """Pass it on."""
        self._reporter.progressed(machine, step, message)

    def finished(self, machine: str, step: str, note: str = "") -> None:
        """Pass it on."""
        self._reporter.finished(machine, step, note)

    def failed(self, machine: str, step: str, error: str) -> None:
        """Pass it on."""
        self._reporter.failed(machine, step, error)

    def notice(self, machine: str, message: str) -> None:
        """Pass it on."""
        self._reporter.notice(machine, message)

    def surveying(self, what: str, done: int, count: int, left: Sequence[str]) -> None:
        """Pass it on, to one that shows it."""
        show = getattr(self._reporter, "surveying", None)
        if show is not None:
            show(what, done, count, left)


def stopped(tools: Services) -> bool:
    """Whether what waits has to end."""
    return isinstance(tools.reporter, Stoppable) and tools.reporter.stopped()


def unstopped(tools: Services) -> Services:
    """Return the tools for what is put right after a stop: nodes get tasks again, machines are switched on."""
    reporter = tools.reporter
    return replace(tools, reporter=reporter.unstopped()) if isinstance(reporter, Stoppable) else tools
