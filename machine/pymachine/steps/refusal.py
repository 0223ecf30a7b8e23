"""Exit codes 2 and 3 say that nothing was made: a refusal that comes later is converted to a failure here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymachine.errors import Interrupted, PymachineError, refuses, too_late
from pymachine.model import Machine, Phase, State
from pymachine.steps.session import Session

LOOK_DEADLINE = 20.0


@contextmanager
def refusing(session: Session, machine: Machine) -> Iterator[None]:
    """Pass a refusal on only if nothing was made and no record stays.

    A new machine is removed again if only preparations were made: its host does not exist, or existed before. If that
    is not possible, or the session has touched anything, the record stays, and the refusal becomes a ``StepFailed``
    with a hint.
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
    """Whether anything of the operation is left; a new machine is removed again if possible."""
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
    """Whether no host was made; one of unknown state may exist."""
    assert machine.handle is not None
    if session.driver.preexisting:
        return True
    return session.driver.inspect(machine.handle, deadline=LOOK_DEADLINE).state is State.MISSING
