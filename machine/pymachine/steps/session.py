"""One operation on one machine: its lease, journal entry, record and connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from pymachine.driver import Driver
from pymachine.errors import CheckFailed, Interrupted, PymachineError, StepFailed, StoreError, UsageFault
from pymachine.model import Fault, Machine, Phase
from pymachine.redaction import hidden_password
from pymachine.steps.services import Services
from pymachine.store import Lease
from pymachine.store.client_files import located
from pymachine.transport import Transport

CONNECT_DEADLINE = 30.0
_ORDER = tuple(Phase)


class Step(Protocol):
    """One step of an operation.

    There is no undo: a step that fails half-way repairs what it touched itself, the record stays, and the same
    command continues from it.
    """

    title: str

    def needs(self, machine: Machine) -> bool:
        """Whether the step has anything to do for this machine."""

    def run(self, machine: Machine, session: Session) -> Machine:
        """Execute the step and return the changed record."""


@dataclass
class Session:
    """What the steps of one verb share.

    ``recorded`` is false for a dry run: nothing is written. ``step`` is the one at work, or the last one; ``touched``
    says that something outside the store was changed, or may have been. ``makes`` is true for verbs that make a
    machine, ``fresh`` where it had no record before. ``former`` is the record of a machine whose engine gets other
    options: until these are ``in_place`` on the host, what is saved tells of the former ones. What one step finds
    and another needs is not here: the later one is given the earlier one.
    """

    tools: Services
    driver: Driver
    lease: Lease | None = None
    operation: int | None = None
    verb: str = ""
    recorded: bool = True
    step: str = ""
    touched: bool = False
    makes: bool = False
    fresh: bool = False
    former: Machine | None = None
    in_place: bool = False
    pending: dict[str, bytes] = field(default_factory=dict)
    _transport: Transport | None = None

    @property
    def untouched(self) -> bool:
        """Whether nothing was made so far, so that a step that fails is a refusal: at a new machine's host that was
        there before, or in a dry run of making one."""
        return self.fresh and not self.touched and (self.driver.preexisting or not self.recorded)

    def save(self, machine: Machine, secrets: Mapping[str, bytes] | None = None) -> Machine:
        """Write the record and these secrets; in a dry run keep both in memory."""
        self.pending.update(secrets or {})
        if not self.recorded:
            return machine
        if self.lease:
            self.lease.check()
        truth = self.former if self.former and not self.in_place else machine
        saved = self.tools.store.put(_with_engine_of(truth, machine), secrets=self.pending or None)
        self.pending.clear()
        return _with_engine_of(machine, saved)

    def secrets(self, machine: Machine) -> dict[str, bytes]:
        """Return the machine's certificates and keys, saved or not."""
        return {**self.tools.store.secrets(machine.name), **self.pending}

    def transport(self, machine: Machine, *, retry_for: float = 0.0) -> Transport:
        """Return the one connection to the host, opened at the first call."""
        if self._transport is None:
            address = located(self.tools.store, machine).ssh
            assert address is not None, "only machines with a host are connected to"
            self._transport = self.tools.log_in(machine.name, address, deadline=CONNECT_DEADLINE, retry_for=retry_for)
        return self._transport

    def disconnect(self) -> None:
        """Close the connection, if there is one; the next call of ``transport`` opens a new one."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def perform(self, steps: Sequence[Step], machine: Machine) -> Machine:
        """Run the required steps in order; each is recorded in the journal and saved."""
        for step in steps:
            if step.needs(machine):
                machine = self._perform_one(step, machine)
        return machine

    def note_fault(self, machine: Machine, step: str, reason: str) -> None:
        """Record where the operation stopped; a machine without a record gets none."""
        if not self.recorded:
            return
        # The step may have saved a newer record before it failed, so the fault goes onto what is stored now.
        current = self.tools.store.find(machine.name)
        if current is not None and current.id == machine.id:
            fault = Fault(step, reason, timestamp(self.tools.now()), self.verb)
            try:
                self.tools.store.put(current.with_(fault=fault))
            except StoreError as error:
                self.tools.reporter.notice(machine.name, f"the fault could not be recorded: {error.message}")

    def way_on(self, machine: Machine) -> str | None:
        """Return the hint for continuing the operation where it stopped, None if there is none."""
        if self.recorded and self.former is not None and not self.in_place:
            return "the previous options stay on record; run the same command again to change them"
        if self.verb in ("rm", "start"):
            return f"`pymachine {self.verb} {machine.name}` continues it"
        if self.verb == "restart":
            return f"`pymachine start {machine.name}` continues it"
        if machine.phase is Phase.READY:
            return None
        return f"run the command again to continue, or `pymachine rm {machine.name}` to undo it"

    def _perform_one(self, step: Step, machine: Machine) -> Machine:
        reporter = self.tools.reporter
        self.step = step.title
        if self.operation is not None:
            self.tools.store.advance(self.operation, step.title)
        reporter.started(machine.name, step.title)
        try:
            machine = self.save(step.run(machine, self))
        except (PymachineError, KeyboardInterrupt) as error:
            reason = reason_of(error)
            reporter.failed(machine.name, step.title, reason)
            if not isinstance(error, UsageFault | CheckFailed):  # a refusal is not the fault of the machine
                self.note_fault(machine, step.title, reason)
            raise self._explained(step.title, error, machine) from error
        reporter.finished(machine.name, step.title)
        return machine

    def _explained(self, step: str, error: BaseException, machine: Machine) -> PymachineError:
        if isinstance(error, KeyboardInterrupt | Interrupted):
            if self.untouched:
                return Interrupted(f"interrupted while {step}; nothing was made")
            kept = f"machine {machine.name} is on record"
            return Interrupted(f"interrupted while {step}; {kept}", hint=self.way_on(machine))
        assert isinstance(error, PymachineError)
        if isinstance(error, UsageFault | CheckFailed):
            return error
        if self.untouched:
            return CheckFailed(f"{step}: {error.message}", hint=error.hint)
        return StepFailed(step, error, hint=_joined(error.hint, self.way_on(machine)))


@contextmanager
def working(name: str, purpose: str, tools: Services, driver: Driver) -> Iterator[Session]:
    """Hold the machine's lease during an operation and close its connection at the end."""
    with tools.store.lease(name, purpose) as lease:
        session = Session(tools, driver, lease)
        try:
            yield session
        finally:
            session.disconnect()


def advanced(machine: Machine, phase: Phase) -> Machine:
    """Return the record in ``phase``, unless it is already further."""
    return machine if _ORDER.index(machine.phase) >= _ORDER.index(phase) else replace(machine, phase=phase)


def _with_engine_of(source: Machine, machine: Machine) -> Machine:
    return replace(machine, engine=source.engine, endpoint=source.endpoint)


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def reason_of(error: BaseException) -> str:
    """Return the reason for the journal and the record why an operation stopped, with passwords in URLs hidden."""
    return hidden_password(error.message) if isinstance(error, PymachineError) else "interrupted"


def _joined(*hints: str | None) -> str | None:
    return "; ".join(h for h in hints if h) or None
