"""How long tests wait: none fails because a computer is slow, and what hangs goes on for far longer than that.

A deadline of half a second that is kept is over within ``LIMIT``, however slow the computer is; a lost one is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AGES = 600.0  # seconds that the other side says nothing
LIMIT = 200.0  # seconds for what takes a moment; pytest ends a test only after 300


@contextmanager
def gives_up() -> Iterator[None]:
    """See that the block is over long before what it waits for."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LIMIT, "it waited for what never comes"


def until(holds: Callable[[], object], what: str) -> None:
    """Wait until it holds, however slow the computer is."""
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


def longer_and_longer(wanting: Callable[[], bool], first: float = 0.5, times: int = 5) -> Iterator[float]:
    """Yield spans of time, each four times the one before, while what was tried in them is ``wanting``.

    For what has to begin within the span that is tested: on a slow computer it gets another, longer one.
    """
    for number in range(times):
        yield first * 4**number
        if not wanting():
            return
