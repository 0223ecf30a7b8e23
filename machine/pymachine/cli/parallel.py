"""Runs one operation on several machines in parallel."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from pymachine.errors import CheckFailed, Interrupted, PymachineError, SeveralFailed, refuses, too_late
from pymachine.parallel import Ended, Workers, conducted

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
    """Do the work for each name, up to 16 at once, and tell each result as it comes, one after the other.

    ``turns`` are lists of the names: those of one list take turns, and a failure ends the list. One failure of one
    machine is raised as it is; several machines are all tried, and ``SeveralFailed`` holds what went wrong
    with which. At Ctrl-C none is begun any more; with ``stop``, which has those at work end at their next safe point,
    these are waited for: for two minutes, or until a second Ctrl-C.
    """
    if len(names) == 1:
        tell(names[0], work(names[0]))
        return
    failures = _Crew(turns or [[name] for name in names], work, tell).run(stop)
    if failures:
        raise SeveralFailed(failures)


def stoppable(tools: Services) -> tuple[Services, Callable[[], None]]:
    """Return tools that can be stopped before the next step, and the function that stops them."""
    from pymachine.interruption import Stoppable

    reporter = Stoppable(tools.reporter)
    return replace(tools, reporter=reporter), reporter.stop


def one_by_one(names: Sequence[str], work: Callable[[str], T], tell: Callable[[str, T], None]) -> None:
    """Do the work for each name in turn, and report each result; the first failure ends it."""
    done: list[str] = []
    with after(done):
        for name in names:
            result = work(name)
            done.append(name)
            tell(name, result)


@contextmanager
def after(done: Sequence[str]) -> Iterator[None]:
    """Pass a refusal on only while ``done`` is empty, which the block fills; later convert it to a failure."""
    try:
        yield
    except PymachineError as error:
        if not done or not refuses(error):
            raise
        raise too_late(error, f"stopped after {', '.join(done)}", "run the command again to continue") from error


class _Crew(Generic[T]):
    """Several names at work, those of one list in turn."""

    def __init__(
        self, turns: Sequence[Sequence[str]], work: Callable[[str], T], tell: Callable[[str, T], None]
    ) -> None:
        self._waiting = deque(tuple(names) for names in turns)
        self._at_work: dict[str, Sequence[str]] = {}  # each with those that follow it
        self._workers: Workers[str, T] = Workers(work)
        self._tell = tell
        self._failures: dict[str, PymachineError] = {}
        self._halted = self._left = False

    def run(self, stop: Callable[[], None] | None) -> dict[str, PymachineError]:
        """Wait for all and return what failed; raise ``Interrupted`` at Ctrl-C, and any error of another class."""
        if not conducted(self._go, partial(self._halt, stop), GRACE if stop else 0.0):
            return self._failures
        self._left = True
        raise self._interrupted()

    def _go(self) -> None:
        self._begin()
        while self._at_work:
            ended = self._workers.next()
            if self._left:
                return
            self._end(ended)
            self._begin()

    def _halt(self, stop: Callable[[], None] | None) -> None:
        self._halted = True
        if stop is not None:
            stop()

    def _begin(self) -> None:
        while self._waiting and len(self._at_work) < WIDTH and not self._halted:
            name, *after = self._waiting.popleft()
            self._at_work[name] = after
            self._workers.begin(name)

    def _end(self, ended: Ended[str, T]) -> None:
        name, after = ended.item, self._at_work.pop(ended.item)
        if ended.error is None:
            self._tell(name, ended.result)
        elif isinstance(ended.error, PymachineError):
            self._failures[name] = ended.error
        else:
            raise ended.error
        if after and (self._halted or ended.error is None):
            self._waiting.appendleft(tuple(after))
        else:
            self._failures.update((each, CheckFailed(f"not started: {name} failed before it")) for each in after)

    def _interrupted(self) -> Interrupted:
        failures = dict(self._failures)
        stopped = {name for name, error in failures.items() if isinstance(error, Interrupted)}
        left = [*self._waiting, *self._at_work.values()]
        parts = (
            ("failed", [f"{name} ({error.message})" for name, error in failures.items() if name not in stopped]),
            ("stopped", sorted(stopped | self._at_work.keys())),
            ("not started", sorted(name for names in left for name in names)),
        )
        told = "; ".join(f"{words}: {', '.join(names)}" for words, names in parts if names)
        hints = [error.hint for error in failures.values() if isinstance(error, Interrupted) and error.hint]
        again = "`pymachine ls` shows how far they got; run the command again to continue"
        return Interrupted(f"interrupted; {told or 'all were done'}", hint="; ".join(dict.fromkeys((*hints, again))))
