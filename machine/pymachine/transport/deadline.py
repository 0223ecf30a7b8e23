"""A span of time that several steps share, and that stands still while a person is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pymachine.events import Asker


class Deadline:
    """``seconds`` from now on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left; at least a millisecond, since many a call takes 0 for "without limit"."""
        return max(self._end - time.monotonic(), 0.001)

    @property
    def passed(self) -> bool:
        """Whether time is up."""
        return time.monotonic() >= self._end

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Give back the time that is spent in the block."""
        before = time.monotonic()
        try:
            yield
        finally:
            self._end += time.monotonic() - before


class PatientAsker:
    """An asker whose questions do not count against a deadline."""

    def __init__(self, asker: Asker, deadline: Deadline) -> None:
        self._asker = asker
        self._deadline = deadline

    def secret(self, prompt: str, *, instead: str) -> str:
        """Ask as the asker within does."""
        with self._deadline.paused():
            return self._asker.secret(prompt, instead=instead)

    def confirm(self, question: str, *, instead: str) -> bool:
        """Ask as the asker within does."""
        with self._deadline.paused():
            return self._asker.confirm(question, instead=instead)
