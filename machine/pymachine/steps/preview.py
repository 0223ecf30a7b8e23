"""What a verb would do, said before it does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pymachine.engine.setup import Change
from pymachine.model import Machine
from pymachine.steps.certificates import Certify
from pymachine.steps.session import Session
from pymachine.tls import Need

_RESTART = "restart the engine once"  # as the plan of the set-up calls it
_CALLED = {"ca": "certificate authority", "server": "server certificate", "client": "client certificate"}


@dataclass(frozen=True, slots=True)
class Preview:
    """The changes a verb would make to one machine, and what its owner should know beforehand."""

    verb: str
    machine: Machine
    changes: tuple[Change, ...]
    announcements: tuple[str, ...] = ()


def preview_of(
    verb: str, machine: Machine, session: Session, extra: Sequence[Change] = (), *, certify: Certify
) -> Preview:
    """Return the preview that follows from what the session has surveyed, and what ``certify`` would issue."""
    plan = session.plan
    if plan is None:
        return Preview(verb, machine, tuple(extra))
    changes = _with_certificates(plan.changes, certify.due(machine, session))
    return Preview(verb, machine, (*extra, *changes), plan.announcements)


def _with_certificates(planned: Sequence[Change], due: Sequence[Need]) -> tuple[Change, ...]:
    """Return the plan's changes with the certificates that would be made anew, and the restart these call for."""
    issued = [Change(f"issue a new {_CALLED[need.part]}", need.reason) for need in due]
    restarts = [change for change in planned if change.what == _RESTART]
    if not restarts and any(need.part != "client" for need in due):
        restarts = [Change(_RESTART, "it takes up its new certificate")]
    return (*issued, *(change for change in planned if change.what != _RESTART), *restarts)
