"""Live display of steps on a terminal: finished ones above, running ones below with their time.

The only user of rich.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pymachine.cli.output import on_stderr
from pymachine.printable import one_line
from pymachine.redaction import hidden_password


class LiveReporter:
    """Shows one moving line per machine that is worked on. ``paused`` releases the terminal for a question."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._running: dict[str, _Line] = {}
        self._lock = threading.RLock()
        self._live = Live(console=self._console, get_renderable=self._table, transient=True, refresh_per_second=10)

    def started(self, machine: str, step: str) -> None:
        """Show the step as running."""
        with self._lock:
            self._running[machine] = _Line(machine, step)
            self._live.start()

    def progressed(self, machine: str, step: str, message: str) -> None:
        """Show the message after the step."""
        with self._lock:
            if machine in self._running and message != step:
                self._running[machine].message = message

    def finished(self, machine: str, step: str, note: str = "") -> None:
        """Move the step up to the finished ones."""
        line = self._end(machine, step)
        self._print("✓", "green", f"{machine}: {line.described(note)}")

    def failed(self, machine: str, step: str, error: str) -> None:
        """Mark the step; the error is printed at the end, with its hint."""
        line = self._end(machine, step)
        self._print("✗", "red", f"{machine}: {line.described('')}")

    def notice(self, machine: str, message: str) -> None:
        """Print the message above the running steps."""
        self._print("•", "yellow", f"{machine}: {message}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Release the terminal during a question."""
        with self._lock:
            self._live.stop()
            try:
                yield
            finally:
                if self._running:
                    self._live.start()

    def close(self) -> None:
        """Remove the moving lines from the terminal; safe to call twice."""
        with self._lock:
            self._running.clear()
            self._live.stop()

    def _end(self, machine: str, step: str) -> _Line:
        with self._lock:
            line = self._running.pop(machine, None) or _Line(machine, step)
            if not self._running:
                self._live.stop()
        return line

    def _print(self, mark: str, color: str, text: str) -> None:
        self._console.print(Text.assemble((f"{mark} ", color), on_stderr(text)), soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        with self._lock:
            for line in self._running.values():
                table.add_row(line.spinner, line.text())
        return table


class _Line:
    """A machine that is being worked on."""

    def __init__(self, machine: str, step: str) -> None:
        self._machine = machine
        self._step = step
        self._began = time.monotonic()
        self.message = ""
        self.spinner = Spinner("dots")

    def text(self) -> Text:
        shown = Text.assemble(
            f"{self._machine}: {self._step} ", (one_line(hidden_password(self.message)), "dim"), f" {self._seconds()}"
        )
        shown.truncate(10_000, overflow="ellipsis")
        shown.no_wrap = True
        return shown

    def described(self, note: str) -> str:
        return " ".join(part for part in (self._step, self._seconds(), note) if part)

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._began:.0f} s"
