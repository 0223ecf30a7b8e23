"""One verb on several machines at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pymachine.errors import CheckFailed, Interrupted, PymachineError, SeveralFailed, refuses, too_late

WIDTH = 16
T = TypeVar("T")


def for_each(
    names: Sequence[str],
    work: Callable[[str], T],
    tell: Callable[[str, T], None],
    *,
    turns: Sequence[Sequence[str]] | None = None,
) -> None:
    """Do the work for each name, up to 16 at once, and tell each result as it comes, in this thread.

    ``turns`` are lists of the names: those of one list take turns, and a failure ends the list. One failure of one
    machine is raised as it is; several machines are all tried, and ``SeveralFailed`` holds what went wrong
    with which.
    """
    if len(names) == 1:
        tell(names[0], work(names[0]))
        return
    failures = _Crew(turns or [[name] for name in names], work).collect(tell)
    if failures:
        raise SeveralFailed(failures)


def one_by_one(names: Sequence[str], work: Callable[[str], T], tell: Callable[[str, T], None]) -> None:
    """Do the work for each name in turn, and tell each result; the first failure ends it."""
    done: list[str] = []
    with after(done):
        for name in names:
            result = work(name)
            done.append(name)
            tell(name, result)


@contextmanager
def after(done: Sequence[str]) -> Iterator[None]:
    """Let a refusal leave the block only while nothing is ``done``, which the block fills; later it is a failure."""
    try:
        yield
    except PymachineError as error:
        if not done or not refuses(error):
            raise
        raise too_late(error, f"stopped after {', '.join(done)}", "the same command goes on") from error


class _Crew:
    """Threads that take one list of names after the other. Daemons: what hangs in one keeps no process alive."""

    def __init__(self, turns: Sequence[Sequence[str]], work: Callable[[str], T]) -> None:
        self._turns: queue.SimpleQueue[Sequence[str]] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self._work = work
        self._open = {name for names in turns for name in names}
        for names in turns:
            self._turns.put(names)
        for _ in range(min(WIDTH, len(turns))):
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
                names = self._turns.get_nowait()
            except queue.Empty:
                return
            failed = ""
            for name in names:
                outcome = CheckFailed(f"not begun: {failed} failed before it") if failed else self._outcome(name)
                failed = failed or (name if isinstance(outcome, BaseException) else "")
                self._outcomes.put((name, outcome))

    def _outcome(self, name: str) -> object:
        try:
            return self._work(name)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
            return error
