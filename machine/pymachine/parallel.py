"""Doing things side by side: in daemon threads, so that one that hangs keeps neither the caller nor the process.

Whoever begins the work takes what became of it, in one thread; so nothing further begins once that one is left.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, Self, TypeVar, cast

from pymachine.clock import Deadline
from pymachine.errors import PymachineError

GLANCE = 0.2  # seconds; a signal that another thread takes would not end one long wait
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ended(Generic[T, R]):
    """An item, the ``error`` by which its work ended or else its ``result``, and how many seconds that took."""

    item: T
    result: R
    error: BaseException | None
    seconds: float


class Workers(Generic[T, R]):
    """Threads that each do ``work`` for one item."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self.running = 0
        self._work = work
        self._ended: queue.SimpleQueue[Ended[T, R]] = queue.SimpleQueue()

    def begin(self, item: T) -> None:
        """Begin the work for one item."""
        self.running += 1
        threading.Thread(target=self._do, args=(item,), daemon=True).start()

    def next(self) -> Ended[T, R]:
        """Wait for the next one that ends, and return it."""
        while True:
            if ended := self._next(GLANCE):
                return ended

    def next_by(self, deadline: Deadline) -> Ended[T, R] | None:
        """Do the same; None where none ends in time."""
        while True:
            ended = self._next(min(deadline.left, GLANCE))
            if ended is not None or deadline.passed:
                return ended

    def _next(self, seconds: float) -> Ended[T, R] | None:
        try:
            ended = self._ended.get(timeout=seconds)
        except queue.Empty:
            return None
        self.running -= 1
        return ended

    def _do(self, item: T) -> None:
        took = Deadline(0.0)
        result, error = _tried(partial(self._work, item))
        self._ended.put(Ended(item, result, error, took.spent))


def spread(
    items: Iterable[T], work: Callable[[T], R], width: int, deadline: Deadline | None = None
) -> Iterator[tuple[T, R | PymachineError]]:
    """Yield each item with what became of it, as it comes, ``width`` of them at once; those that are late not at all.

    Errors that can be explained are values. Whatever else is raised is raised here.
    """
    waiting, workers = deque(items), Workers(work)
    while True:
        while waiting and workers.running < width:
            workers.begin(waiting.popleft())
        if not workers.running:
            return
        ended = workers.next() if deadline is None else workers.next_by(deadline)
        if ended is None:
            return
        if ended.error is not None and not isinstance(ended.error, PymachineError):
            raise ended.error
        yield ended.item, ended.error or ended.result


def together(names: Collection[T], ask: Callable[[T], R]) -> dict[T, R]:
    """Ask for all at once, so that those which do not answer are waited for together; return the answers in order.

    An error is raised when all have ended.
    """
    workers = Workers(ask)
    for name in names:
        workers.begin(name)
    all_ended = [workers.next() for _ in names]
    for ended in all_ended:
        if ended.error is not None:
            raise ended.error
    answers = {ended.item: ended.result for ended in all_ended}
    return {name: answers[name] for name in names}


class Call(Generic[R]):
    """One call in a thread that is left behind where it takes too long."""

    def __init__(self, work: Callable[[], R]) -> None:
        self._work = work
        self._over = threading.Event()
        self._outcome: tuple[R, BaseException | None] | None = None
        self._thread = threading.Thread(target=self._do, daemon=True)

    def begin(self) -> Self:
        """Begin it, and return it."""
        self._thread.start()
        return self

    @property
    def is_begun(self) -> bool:
        """Whether its thread was there at all; Ctrl-C may have come before."""
        return self._thread.ident is not None

    def result(self, deadline: Deadline | None = None) -> R:
        """Wait for what it returns; what it raises is raised here. Raises ``TimeoutError`` where it is late."""
        while not self._over.wait(GLANCE if deadline is None else min(deadline.left, GLANCE)):
            if deadline is not None and deadline.passed:
                raise TimeoutError
        assert self._outcome is not None, "it is over"
        result, error = self._outcome
        if error is not None:
            raise error
        return result

    def _do(self) -> None:
        self._outcome = _tried(self._work)
        self._over.set()


def conducted(go: Callable[[], None], halt: Callable[[], None], grace: float | None) -> bool:
    """Do ``go`` in a thread of its own and wait for its end; return whether Ctrl-C came.

    In this thread Ctrl-C could come between an answer and what follows from it. There ``halt`` is called, which has
    ``go`` end soon, and waited again: for ``grace`` seconds, None without bound, or until a second Ctrl-C. What
    ``go`` raises is raised here.
    """
    call = Call(go)
    try:
        call.begin().result()
    except KeyboardInterrupt:
        halt()
    else:
        return False
    with suppress(KeyboardInterrupt, TimeoutError):
        if call.is_begun:
            call.result(None if grace is None else Deadline(grace))
    return True


def _tried(work: Callable[[], R]) -> tuple[R, BaseException | None]:
    """Return the result, or the error with a result that is not to be read."""
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
        return cast(R, None), error
