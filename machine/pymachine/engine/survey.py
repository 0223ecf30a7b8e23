"""Reads the output of the facts command, within a time limit for the whole and for each part."""

from __future__ import annotations

from collections.abc import Callable

from pymachine.engine.progress import MARK, ProgressReader
from pymachine.errors import DeadlineExceeded

# Seconds. A look takes well under one; a file system or a service that hangs takes for ever.
SURVEY_DEADLINE = 120.0
SILENCE = 30.0
WAITING = f"{MARK}waiting"  # what the command prints every few seconds while it waits for somebody else


class SurveyReader:
    """Passes notes on to ``notes``, and tracks the command's progress. ``now`` returns seconds.

    Waiting for another set-up does not count.
    """

    def __init__(self, notes: ProgressReader, now: Callable[[], float]) -> None:
        self._notes = notes
        self._now = now
        self._end = now() + SURVEY_DEADLINE
        self._told = ""
        self._at = "the beginning"

    def line(self, text: str) -> None:
        """Process one line of standard output. Raises ``DeadlineExceeded`` if the whole survey takes too long."""
        if text.startswith(MARK):
            self._end = self._now() + SURVEY_DEADLINE
            self._notes.line(text)
            return
        name, blank, content = text.partition(" ")
        if blank and name.isidentifier():
            self._told, self._at = name, f"{name!r}" if content else ""
        if self._now() > self._end:
            raise self.late()

    def late(self) -> DeadlineExceeded:
        """Return the error for a host that took too long, with the part that hung."""
        where = f"it reached {self._at}" if self._at else f"{self._told!r} has no end"
        return DeadlineExceeded(
            f"the host did not finish reporting its facts: {where}",
            hint="a file system, a name service or a daemon of the host hangs; run the command by hand to see which",
        )
