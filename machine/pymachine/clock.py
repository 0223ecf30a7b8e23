"""Time that only grows, spans of it, and the one way to wait for something: with a bound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

LEAST = 0.001  # seconds; many a call takes 0 for "without limit"


@dataclass(frozen=True, slots=True)
class Clock:
    """``now`` returns seconds that no correction of the computer's time changes; tests have a clock of their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def ticks(self, seconds: float, pause: float | Iterable[float]) -> Iterator[float]:
        """Yield the seconds that have passed: at once and after each pause, a last time when ``seconds`` are over.

        A look that ends after that is the last. ``pause`` is one length, or each in turn, of which the last stays.
        """
        limit, lengths = Deadline(seconds, self), _endless(pause)
        while True:
            yield limit.spent
            if limit.passed:
                return
            limit.pause(next(lengths))


REAL = Clock()


class Deadline:
    """``seconds`` from now on."""

    def __init__(self, seconds: float, clock: Clock = REAL) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock.now() + seconds

    @property
    def left(self) -> float:
        """Seconds left; at least a millisecond, since many a call takes 0 for "without limit"."""
        return max(self._end - self._clock.now(), LEAST)

    @property
    def spent(self) -> float:
        """Seconds that have passed since it began."""
        return self.seconds - (self._end - self._clock.now())

    @property
    def passed(self) -> bool:
        """Whether time is up."""
        return self._clock.now() >= self._end

    def pause(self, seconds: float) -> None:
        """Sleep so long, but not longer than the time that is left."""
        self._clock.sleep(min(seconds, self.left))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Give back the time that is spent in the block."""
        before = self._clock.now()
        try:
            yield
        finally:
            self._end += self._clock.now() - before


def growing(first: float, factor: float, most: float) -> Iterator[float]:
    """Yield lengths of pauses: ``first``, then each ``factor`` times the one before, ``most`` at most."""
    length = first
    while True:
        yield length
        length = min(length * factor, most)


def scattered(length: float) -> Iterator[float]:
    """Yield pauses of about that length, so that many who were turned away at once do not come back at once."""
    import random  # costs more to load than most commands take

    while True:
        yield length * random.uniform(0.5, 1.5)


def _endless(pause: float | Iterable[float]) -> Iterator[float]:
    if isinstance(pause, int | float):
        return repeat(pause)
    return _last_again(pause)


def _last_again(pauses: Iterable[float]) -> Iterator[float]:
    length = LEAST
    for length in pauses:
        yield length
    yield from repeat(length)
