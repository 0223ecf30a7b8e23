"""Progress of a fleet's work in lines: plain ones for pipes, JSON for programs."""

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
from pymachine.redaction import hidden_password


class FleetTeller(Reporter, Tell, Protocol):
    """A reporter that is also told of actions: see ``pymachine.fleet.apply.scheduler.Tell``."""

    def planned(self, plan: Plan) -> None:
        """Called before a plan is executed."""

    def concluded(self, summary: Mapping[str, Any]) -> None:
        """Called at the end of the command, whatever the result."""


def choose_teller(app: App, *, as_json: bool) -> FleetTeller:
    """Return the teller of a fleet's progress: JSON on standard output if requested, else the one of --progress."""
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
    """Prints nothing."""

    def planned(self, plan: Plan) -> None:
        """Ignore."""

    def concluded(self, summary: Mapping[str, Any]) -> None:
        """Ignore."""

    def began(self, action: Action) -> None:
        """Ignore."""

    def ended(self, result: ActionResult) -> None:
        """Ignore."""


class PlainTeller(PlainReporter):
    """Prints a line for each step, and one for each action that ends, with the number of remaining ones."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._left = self._all = 0

    def planned(self, plan: Plan) -> None:
        """Count the actions."""
        self._left = self._all = sum(1 for _ in plan.actions)

    def concluded(self, summary: Mapping[str, Any]) -> None:
        """Print nothing: the table at the end has everything."""

    def began(self, action: Action) -> None:
        """Print nothing: the steps of the action are printed."""

    def ended(self, result: ActionResult) -> None:
        """Print the outcome."""
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
            seconds=round(result.seconds, 3), error=hidden_password(error.message) if error else None,
            hint=error.hint if error else None, because=result.because or None,
        )  # fmt: skip

    def _tell(self, event: str, **details: Any) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._own:
            self._out.write(json_line({"time": time, "event": event, **details}))
            self._out.flush()
