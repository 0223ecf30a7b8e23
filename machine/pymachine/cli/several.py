"""One verb on several machines at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from pymachine.errors import Interrupted, PymachineError, SeveralFailed

WIDTH = 16
T = TypeVar("T")


def for_each(names: Sequence[str], work: Callable[[str], T], tell: Callable[[str, T], None]) -> None:
    """Do the work for each name, up to 16 at once, and tell each result as it comes, in this thread.

    One failure of one machine is raised as it is; several machines are all tried, and ``SeveralFailed`` holds what
    went wrong with which.
    """
    if len(names) == 1:
        tell(names[0], work(names[0]))
        return
    failures = _Crew(names, work).collect(tell)
    if failures:
        raise SeveralFailed(failures)


class _Crew:
    """Threads that take one name after the other. Daemons: what hangs in one does not keep the process alive."""

    def __init__(self, names: Sequence[str], work: Callable[[str], T]) -> None:
        self._names: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self._work = work
        self._open = set(names)
        for name in names:
            self._names.put(name)
        for _ in range(min(WIDTH, len(names))):
            threading.Thread(target=self._labour, daemon=True).start()

    def collect(self, tell: Callable[[str, T], None]) -> dict[str, PymachineError]:
        """Wait for all; raise ``Interrupted`` at Ctrl-C, and whatever is no fault of ours."""
        failures: dict[str, PymachineError] = {}
        try:
            while self._open:
                name, outcome = self._outcomes.get()
                self._open.discard(name)
                self._sort(name, outcome, failures, tell)
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted; not finished: {', '.join(sorted(self._open))}",
                hint="`pymachine ls` shows how far they came; the same command goes on",
            ) from None
        return failures

    def _sort(
        self, name: str, outcome: object, failures: dict[str, PymachineError], tell: Callable[..., None]
    ) -> None:
        if isinstance(outcome, PymachineError):
            failures[name] = outcome
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            tell(name, outcome)

    def _labour(self) -> None:
        while True:
            try:
                name = self._names.get_nowait()
            except queue.Empty:
                return
            self._outcomes.put((name, self._outcome(name)))

    def _outcome(self, name: str) -> object:
        try:
            return self._work(name)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
            return error
