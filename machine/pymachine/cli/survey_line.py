"""One line at the foot of a terminal that says how far a look at many machines has come, and is gone after it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from pymachine.cli.table import cells
from pymachine.printable import one_line

PAUSE = 0.05  # seconds between two drawings: a thousand hosts may answer in one
NAMED = 3  # machines still waited for that are named


class SurveyLine:
    """Draws the line. ``shown`` says whether there is a terminal for it that nothing else was asked of."""

    def __init__(self, stream: TextIO, *, shown: bool) -> None:
        self._stream = stream
        self._shown = shown
        self._drawn = False
        self._last = 0.0
        self._lock = threading.Lock()

    def surveying(self, what: str, done: int, count: int, left: Sequence[str]) -> None:
        """Show how far it is; take the line away where ``what`` is empty. ``left`` are names still waited for."""
        if not what:
            self.clear()
            return
        now = time.monotonic()
        if not self._shown or (self._drawn and now - self._last < PAUSE and count - done > NAMED):
            return
        with self._lock:
            self._drawn, self._last = True, now
            self._write(f"\r{_cut(_in_words(what, done, count, left))}\x1b[K")

    def clear(self) -> None:
        """Take the line away, for whatever is printed next."""
        with self._lock:
            if self._drawn:
                self._drawn = False
                self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._shown = False


def has_room(stream: TextIO, environ: Mapping[str, str], progress: str) -> bool:
    """Whether there is a terminal that moving lines may be drawn on."""
    return progress == "auto" and stream.isatty() and environ.get("TERM", "dumb") != "dumb"


def _in_words(what: str, done: int, count: int, left: Sequence[str]) -> str:
    if not count:
        return f"{what} …"
    waits = f" waiting for {', '.join(map(one_line, left))}" if 0 < count - done <= NAMED and done else ""
    return f"{what} {done}/{count} …{waits}"


def _cut(text: str) -> str:
    """Cut it to one line of the terminal: a longer one could not be taken away."""
    room = shutil.get_terminal_size().columns - 1
    while cells(text) > room and text:
        text = text[:-1]
    return text
