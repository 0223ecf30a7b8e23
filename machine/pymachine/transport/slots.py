"""Limits the number of open sessions on one connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pymachine.clock import Deadline


class Slots:
    """Places for sessions; a caller waits for a free one, no longer than its own deadline."""

    def __init__(self, most: int) -> None:
        self._places = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """The number of used places."""
        return self._taken

    @contextmanager
    def one(self, limit: Deadline) -> Iterator[None]:
        """Hold a place during the block. Raises ``TimeoutError`` if none becomes free in time."""
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
