"""A fleet at work, told in lines: plain ones for pipes, JSON ones for programs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

from pymachine.cli.app import App
from pymachine.cli.output import json_line
from pymachine.cli.progress import JsonReporter, PlainReporter
from pymachine.events import Reporter, Silent
from pymachine.fleet.apply.scheduler import ActionResult, Tell
from pymachine.fleet.plan import Action, Plan


class FleetTeller(Reporter, Tell, Protocol):
    """A reporter that also hears of actions: see ``pymachine.fleet.apply.scheduler.Tell``."""

    def planned(self, plan: Plan) -> None:
        """A plan is about to be carried out."""

    def concluded(self, summary: Mapping[str, Any]) -> None:
        """The command is at its end, whatever that is."""


def choose_teller(app: App, *, as_json: bool) -> FleetTeller:
    """Return who tells how a fleet's work goes on: JSON on standard output if asked for, else as --progress says."""
    if as_json:
        return JsonTeller(sys.stdout)
    if app.progress == "json":
        return JsonTeller(sys.stderr)
    if app.progress == "none":
        return SilentTeller()
    if app.progress == "auto" and sys.stderr.isatty() and app.environ.get("TERM", "dumb") != "dumb":
        from pymachine.cli.fleet_progress_live import FleetView

        return FleetView(line=app.survey_line())
    return PlainTeller(sys.stderr)


class SilentTeller(Silent):
    """Tells nothing."""

    def planned(self, plan: Plan) -> None:
        """Ignore."""

    def concluded(self, summary: Mapping[str, Any]) -> None:
        """Ignore."""

    def began(self, action: Action) -> None:
        """Ignore."""

    def ended(self, result: ActionResult) -> None:
        """Ignore."""


class PlainTeller(PlainReporter):
    """A line for each step, and one for each action that ends, with how many are left."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._left = self._all = 0

    def planned(self, plan: Plan) -> None:
        """Count what is to be done."""
        self._left = self._all = sum(1 for _ in plan.actions)

    def concluded(self, summary: Mapping[str, Any]) -> None:
        """Say nothing: the account does."""

    def began(self, action: Action) -> None:
        """Say nothing: its steps do."""

    def ended(self, result: ActionResult) -> None:
        """Say what became of it."""
        self._left -= 1
        why = f": {result.because}" if result.because else ""
        self._line(
            f"[{self._all - self._left}/{self._all}] {result.action.subject}: {result.action.title}: "
            f"{result.outcome}{why}"
        )


class JsonTeller(JsonReporter):
    """Events as ``JsonReporter`` writes them; ``plan``, ``began``, ``ended`` with their action; ``summary``."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._out = stream
        self._own = threading.Lock()

    def planned(self, plan: Plan) -> None:
        """Event ``plan``."""
        self._tell("plan", fleet=plan.fleet, actions=[action.id for action in plan.actions])

    def concluded(self, summary: Mapping[str, Any]) -> None:
        """Event ``summary``, the last one."""
        self._tell("summary", **summary)

    def began(self, action: Action) -> None:
        """Event ``began``."""
        self._tell("began", machine=action.subject, action=action.kind, reasons=list(action.reasons))

    def ended(self, result: ActionResult) -> None:
        """Event ``ended``."""
        error = result.error
        self._tell(
            "ended", machine=result.action.subject, action=result.action.kind, outcome=result.outcome,
            seconds=round(result.seconds, 3), error=error.message if error else None,
            hint=error.hint if error else None, because=result.because or None,
        )  # fmt: skip

    def _tell(self, event: str, **details: Any) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._own:
            self._out.write(json_line({"time": time, "event": event, **details}))
            self._out.flush()
