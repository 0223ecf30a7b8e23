"""A fleet at work, shown on a terminal: readable with three machines and with two hundred. Uses rich."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from pymachine.cli.survey_line import SurveyLine
from pymachine.fleet.apply.scheduler import ActionResult, Outcome
from pymachine.fleet.plan import Action, Plan
from pymachine.printable import one_line
from pymachine.redaction import hidden_password

# Lines that the counts, the blank ones and the prompt take.
OVERHEAD = 4
FAILURES_SHOWN = 5


@dataclass
class _Line:
    """A machine or stack at work."""

    title: str
    began: float = field(default_factory=time.monotonic)
    step: str = ""
    message: str = ""

    def text(self, subject: str) -> Text:
        """Return it as one line."""
        seconds = f"{time.monotonic() - self.began:.0f} s"
        shown = Text.assemble(
            ("› ", "cyan"), f"{subject}: {self.title}", f" · {self.step}" if self.step else "", f" {seconds} ",
            (one_line(hidden_password(self.message)), "dim"), no_wrap=True, overflow="ellipsis",
        )  # fmt: skip
        shown.truncate(10_000, overflow="ellipsis")
        return shown


class FleetView:
    """Counts on top, the failures so far, and a line for each machine at work, as many as the terminal has room for.

    A reporter and a ``Tell`` in one. What is done leaves no line behind but its count; the hosts' logs have it all.
    """

    def __init__(self, console: Console | None = None, line: SurveyLine | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._lock = threading.RLock()
        self._line = line
        self._running: dict[str, _Line] = {}
        self._failed: list[Text] = []
        self._planned: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._live = Live(
            console=self._console, get_renderable=self._screen, transient=True, refresh_per_second=8,
            vertical_overflow="crop",
        )  # fmt: skip

    def surveying(self, what: str, done: int, count: int, left: Sequence[str]) -> None:
        """Show a look, unless a plan is being carried out."""
        if self._line is not None and not self._live.is_started:
            self._line.surveying(what, done, count, left)

    def planned(self, plan: Plan) -> None:
        """Begin to show a plan that is carried out."""
        with self._lock:
            self._unlook()
            self._planned = Counter(action.title for action in plan.actions)
            self._done.clear()
            self._live.start()

    def concluded(self, summary: Mapping[str, Any]) -> None:
        """Nothing: the account tells."""

    def began(self, action: Action) -> None:
        """Show the action as running."""
        with self._lock:
            self._running[action.subject] = _Line(action.title)

    def ended(self, result: ActionResult) -> None:
        """Count it; keep a failure in sight."""
        with self._lock:
            self._running.pop(result.action.subject, None)
            if result.outcome is Outcome.DONE:
                self._done[result.action.title] += 1
            elif result.outcome is Outcome.FAILED and result.error is not None:
                first = result.error.message.splitlines()[0]
                line = f"{result.action.subject}: {result.action.title}: {one_line(hidden_password(first))}"
                self._failed.append(Text.assemble(("✗ ", "red"), line, no_wrap=True, overflow="ellipsis"))

    def started(self, machine: str, step: str) -> None:
        """Show the step."""
        with self._lock:
            if machine in self._running:
                self._running[machine].step, self._running[machine].message = step, ""

    def progressed(self, machine: str, step: str, message: str) -> None:
        """Show the message behind the step."""
        with self._lock:
            if machine in self._running:
                self._running[machine].message = message

    def finished(self, machine: str, step: str, note: str = "") -> None:
        """Nothing: the next step shows."""

    def failed(self, machine: str, step: str, error: str) -> None:
        """Nothing: the action's end tells."""

    def notice(self, machine: str, message: str) -> None:
        """Nothing: two hundred first contacts would bury everything; the log has it."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal alone for the time of a question."""
        with self._lock:
            self._unlook()
            was_on = self._live.is_started
            self._live.stop()
            try:
                yield
            finally:
                if was_on:
                    self._live.start()

    def close(self) -> None:
        """Take the moving lines off the terminal; safe to call twice."""
        with self._lock:
            self._unlook()
            self._live.stop()

    def _unlook(self) -> None:
        if self._line is not None:
            self._line.clear()

    def _screen(self) -> RenderableType:
        with self._lock:
            room = max(self._console.size.height - OVERHEAD - min(len(self._failed), FAILURES_SHOWN), 1)
            lines = [line.text(subject) for subject, line in list(self._running.items())[:room]]
            hidden = len(self._running) - len(lines)
            more = [Text(f"  … and {hidden} more", style="dim")] if hidden else []
            return Group(self._counts(), *self._failed[-FAILURES_SHOWN:], *lines, *more)

    def _counts(self) -> Text:
        parts = [f"{title} {self._done[title]}/{count}" for title, count in self._planned.items()]
        shown = Text(" · ".join(parts), style="bold", no_wrap=True, overflow="ellipsis")
        if self._failed:
            shown.append(f" · failed {len(self._failed)}", style="bold red")
        return shown
