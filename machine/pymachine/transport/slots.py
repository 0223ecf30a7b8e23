"""How many sessions of one connection are open at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pymachine.clock import Deadline


class Slots:
    """Places for sessions; whoever finds none waits for one, no longer than its own deadline."""

    def __init__(self, most: int) -> None:
        self._places = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many are taken."""
        return self._taken

    @contextmanager
    def one(self, limit: Deadline) -> Iterator[None]:
        """Hold a place for the length of the block. Raises ``TimeoutError`` where none came free in time."""
        if not self._places.acquire(timeout=limit.left):
            raise TimeoutError
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)
            self._places.release()

    def _change(self, by: int) -> None:
        with self._lock:
            self._taken += by
