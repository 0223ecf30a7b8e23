"""Exit codes 2 and 3 say that nothing was made: here a refusal that came too late for that becomes a failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymachine.errors import Interrupted, PymachineError, refuses, too_late
from pymachine.model import Machine, Phase, State
from pymachine.steps.session import Session

LOOK_DEADLINE = 20.0


@contextmanager
def refusing(session: Session, machine: Machine) -> Iterator[None]:
    """Let a refusal leave the block only where nothing was made, and no record stays.

    A machine that this verb began is taken back where all that was made of it is still nothing but a preparation: its
    host is not there, or was there before. What cannot be taken back stays on record, and the refusal becomes a
    ``StepFailed`` that says how to go on. So it does where the session has touched anything.
    """
    try:
        yield
    except PymachineError as error:
        outcome = _outcome(error, session, machine)
        if outcome is error:
            raise
        raise outcome from error


def _outcome(error: PymachineError, session: Session, machine: Machine) -> PymachineError:
    interrupted = isinstance(error, Interrupted) and session.untouched
    if not (interrupted or refuses(error)) or not _remains(session, machine):
        return error
    step, hint = session.step or session.verb, session.way_on(machine)
    if interrupted:
        return Interrupted(f"interrupted while {step}; machine {machine.name} is on record", hint=hint)
    if session.step:
        session.note_fault(machine, step, error.message)
    return too_late(error, step, hint or "run the command again to continue")


def _remains(session: Session, machine: Machine) -> bool:
    """Whether anything is left of what the verb did; a machine that it began is taken back if that can be."""
    if session.touched:
        return True
    if not session.makes:
        return False
    current = session.tools.store.find(machine.name)
    if current is None or current.id != machine.id:
        return False
    if not session.fresh:
        return current.phase is not Phase.READY
    return not _taken_back(current, session)


def _taken_back(machine: Machine, session: Session) -> bool:
    try:
        if machine.handle is not None:
            if not _is_a_preparation(machine, session):
                return False
            session.driver.destroy(machine.handle)
        session.tools.store.remove(machine.name)
    except PymachineError as error:
        session.tools.reporter.notice(machine.name, f"the preparation could not be undone: {error.message}")
        return False
    return True


def _is_a_preparation(machine: Machine, session: Session) -> bool:
    """Whether no host was made; one that cannot be asked about may be there."""
    assert machine.handle is not None
    if session.driver.preexisting:
        return True
    return session.driver.inspect(machine.handle, deadline=LOOK_DEADLINE).state is State.MISSING
