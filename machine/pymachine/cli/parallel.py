"""One verb on several machines at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from pymachine.errors import CheckFailed, Interrupted, PymachineError, SeveralFailed, refuses, too_late

if TYPE_CHECKING:
    from pymachine.steps.services import Services

WIDTH = 16
GRACE = 120.0  # seconds for those at work to come to a safe point
T = TypeVar("T")


def for_each(
    names: Sequence[str],
    work: Callable[[str], T],
    tell: Callable[[str, T], None],
    *,
    turns: Sequence[Sequence[str]] | None = None,
    stop: Callable[[], None] | None = None,
) -> None:
    """Do the work for each name, up to 16 at once, and tell each result as it comes, in this thread.

    ``turns`` are lists of the names: those of one list take turns, and a failure ends the list. One failure of one
    machine is raised as it is; several machines are all tried, and ``SeveralFailed`` holds what went wrong
    with which. At Ctrl-C none is begun any more; with ``stop``, which has those at work end at their next safe point,
    these are waited for: for two minutes, or until a second Ctrl-C.
    """
    if len(names) == 1:
        tell(names[0], work(names[0]))
        return
    failures = _Crew(turns or [[name] for name in names], work).collect(tell, stop)
    if failures:
        raise SeveralFailed(failures)


def stoppable(tools: Services) -> tuple[Services, Callable[[], None]]:
    """Return the tools for work that can be stopped at the next step that begins, and what stops it."""
    from pymachine.interruption import Stoppable

    reporter = Stoppable(tools.reporter)
    return replace(tools, reporter=reporter), reporter.stop


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
        raise too_late(error, f"stopped after {', '.join(done)}", "the same command continues") from error


class _Crew:
    """Threads that take one list of names after the other. Daemons: what hangs in one keeps no process alive."""

    def __init__(self, turns: Sequence[Sequence[str]], work: Callable[[str], T]) -> None:
        self._turns: queue.SimpleQueue[Sequence[str]] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        self._work = work
        self._open = {name for names in turns for name in names}
        self._begun: set[str] = set()
        self._halted = threading.Event()
        for names in turns:
            self._turns.put(names)
        self._width = min(WIDTH, len(turns))

    def collect(self, tell: Callable[[str, T], None], stop: Callable[[], None] | None) -> dict[str, PymachineError]:
        """Wait for all; raise ``Interrupted`` at Ctrl-C, and whatever is no fault of ours."""
        failures: dict[str, PymachineError] = {}
        try:
            for _ in range(self._width):
                threading.Thread(target=self._labour, daemon=True).start()
            while self._open:
                self._take(None, failures, tell)
        except KeyboardInterrupt:
            self._halted.set()
            if stop is not None:
                stop()
                self._wait_for_those_at_work(failures, tell)
            raise self._interrupted(failures) from None
        return failures

    def _take(self, timeout: float | None, failures: dict[str, PymachineError], tell: Callable[..., None]) -> None:
        name, outcome = self._outcomes.get(timeout=timeout)
        self._sort(name, outcome, failures, tell)
        self._open.discard(name)

    def _wait_for_those_at_work(self, failures: dict[str, PymachineError], tell: Callable[..., None]) -> None:
        end = time.monotonic() + GRACE
        with suppress(KeyboardInterrupt, queue.Empty):
            while self._open & self._begun:
                self._take(max(end - time.monotonic(), 0.0), failures, tell)

    def _interrupted(self, failures: Mapping[str, PymachineError]) -> Interrupted:
        stopped = {name for name, error in failures.items() if isinstance(error, Interrupted)}
        parts = (
            ("failed", [f"{name} ({error.message})" for name, error in failures.items() if name not in stopped]),
            ("stopped", sorted(stopped | (self._open & self._begun))),
            ("not started", sorted(self._open - self._begun)),
        )
        told = "; ".join(f"{words}: {', '.join(names)}" for words, names in parts if names)
        hints = [error.hint for error in failures.values() if isinstance(error, Interrupted) and error.hint]
        again = "`pymachine ls` shows how far they came; the same command continues"
        return Interrupted(f"interrupted; {told or 'all were done'}", hint="; ".join(dict.fromkeys((*hints, again))))

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
                if self._halted.is_set():
                    return
                self._begun.add(name)
                outcome = CheckFailed(f"not started: {failed} failed before it") if failed else self._outcome(name)
                failed = failed or (name if isinstance(outcome, BaseException) else "")
                self._outcomes.put((name, outcome))

    def _outcome(self, name: str) -> object:
        try:
            return self._work(name)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
            return error
