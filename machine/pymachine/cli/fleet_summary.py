"""The summary event at the end of `apply` and `destroy`, which is printed whatever the result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pymachine.cli.fleet_progress import FleetTeller
from pymachine.documents import to_document
from pymachine.errors import CheckFailed, Interrupted, PymachineError, SeveralFailed, UsageFault
from pymachine.fleet.apply.scheduler import Outcome, RunSummary
from pymachine.fleet.plan import Plan

INTERRUPTED = Interrupted("interrupted")


@dataclass
class Course:
    """The results of one command so far: its last plan, and the account of each plan that was executed."""

    command: str
    fleet: str = ""
    plan: Plan | None = None
    accounts: list[RunSummary] = field(default_factory=list)
    declined: bool = False

    def summary(self, error: PymachineError | None) -> dict[str, Any]:
        """Return the event's fields; ``error`` is the error with which the command ends."""
        results = [result for account in self.accounts for result in account]
        counts = {outcome.value: sum(result.outcome is outcome for result in results) for outcome in Outcome}
        return {
            "fleet": self.fleet or None,
            "command": self.command,
            "outcome": self._outcome(error),
            "exit_code": error.exit_code if error else 0,
            **counts,
            "refusals": to_document(self.plan.refusals) if self.plan else [],
            "unseen": dict(self.plan.unseen) if self.plan else {},
            "failures": {n: e.message for n, e in error.failures.items()} if isinstance(error, SeveralFailed) else {},
            "error": error.message if error else None,
            "hint": error.hint if error else None,
        }

    def _outcome(self, error: PymachineError | None) -> str:
        if isinstance(error, Interrupted):
            return "interrupted"
        if isinstance(error, CheckFailed | UsageFault) and not self.accounts:
            return "refused"
        if error is not None:
            return "failed"
        if self.declined:
            return "declined"
        return "done" if self.accounts else "nothing-to-do"


@contextmanager
def concluded(command: str, teller: FleetTeller) -> Iterator[Course]:
    """Yield a course to record results in, and emit the summary at the end of the block."""
    course = Course(command)
    try:
        yield course
    except PymachineError as error:
        _tell(teller, course, error)
        raise
    except KeyboardInterrupt:
        _tell(teller, course, INTERRUPTED)
        raise
    except Exception as bug:
        _tell(teller, course, PymachineError(f"a bug in pymachine: {type(bug).__name__}"))
        raise
    teller.concluded(course.summary(None))


def _tell(teller: FleetTeller, course: Course, error: PymachineError) -> None:
    """Emit the summary of a failure; an error while emitting must not hide the failure."""
    with suppress(OSError):
        teller.concluded(course.summary(error))
