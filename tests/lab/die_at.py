"""pymachine that kills itself with SIGKILL at an event: python die_at.py EVENT STEP COUNT -- WORDS…

EVENT is started, progressed or finished; it dies at the COUNTth of these in STEP, which may be "any". Nothing is
flushed, closed or released: that is the point.
"""

from __future__ import annotations

import os
import signal
import sys

from pymachine.cli import main
from pymachine.cli.dependencies import Wiring


class Deadly:
    """A reporter that does not come back from one event."""

    def __init__(self, event: str, step: str, count: int) -> None:
        self._event = event
        self._step = step
        self._left = count

    def started(self, machine: str, step: str) -> None:
        self._tick("started", step)

    def progressed(self, machine: str, step: str, message: str) -> None:
        self._tick("progressed", step)

    def finished(self, machine: str, step: str, note: str = "") -> None:
        self._tick("finished", step)

    def failed(self, machine: str, step: str, error: str) -> None:
        """Live on."""

    def notice(self, machine: str, message: str) -> None:
        """Live on."""

    def _tick(self, event: str, step: str) -> None:
        if self._event == event and self._step in (step, "any"):
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    event, step, count, _, *words = sys.argv[1:]
    sys.exit(main(words, wiring=Wiring(reporter=Deadly(event, step, int(count)))))
