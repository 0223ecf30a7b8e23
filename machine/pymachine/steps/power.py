"""Common parts of operations that are one call of the driver: capability, lease, journal, follow-up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymachine.driver import Handle
from pymachine.engine.client import EngineAnswer
from pymachine.errors import CheckFailed, EngineError, NoSuchMachine, NotSupported, PymachineError
from pymachine.model import Machine, Phase
from pymachine.steps.engine import ANSWER_DEADLINE
from pymachine.steps.journal import journalled
from pymachine.steps.services import Services
from pymachine.steps.session import Session, working
from pymachine.tls.clock import clock_skew
from pymachine.transport import Command

ENGINE_PATIENCE = 120.0
PAUSE = 1.0
CLOCK_TOLERANCE = 60.0
AWAKE_PATIENCE = 30.0


def incapable(machine: Machine, what: str) -> NotSupported:
    """Return the refusal for a missing capability; ``what`` completes "driver x cannot …"."""
    return NotSupported(
        f"driver {machine.driver} cannot {what}", hint="drivers of virtual machines support it, e.g. kvm"
    )


def handle_of(machine: Machine) -> Handle:
    """Return the driver's handle of the machine. Raises ``CheckFailed`` if it has no host yet."""
    if machine.handle is None:
        raise CheckFailed(
            f"machine {machine.name} has no host yet", hint="run its create command again to continue it"
        )
    return dict(machine.handle)


def refuse_half_removed(machine: Machine) -> None:
    """Refuse a machine whose ``rm`` has begun. Raises ``CheckFailed``."""
    if machine.phase is Phase.REMOVING:
        way_on = f"`pymachine rm {machine.name}` continues it"
        raise CheckFailed(f"machine {machine.name} is half-removed", hint=way_on)


@contextmanager
def at_work(machine: Machine, verb: str, driver: Any, tools: Services) -> Iterator[tuple[Session, Machine]]:
    """Hold the machine's lease, record the operation and report it; yield the current record."""
    with working(machine.name, f"{verb} {machine.name}", tools, driver) as session:
        machine = tools.store.get(machine.name)
        with journalled(session, machine, verb), reported(machine.name, verb, tools):
            yield session, machine


@contextmanager
def reported(name: str, step: str, tools: Services) -> Iterator[None]:
    """Report an operation that is not a ``Step``: its start and its end."""
    tools.reporter.started(name, step)
    try:
        yield
    except PymachineError as error:
        tools.reporter.failed(name, step, error.message)
        raise
    tools.reporter.finished(name, step)


def await_engine(
    machine: Machine, tools: Services, *, patience: float = ENGINE_PATIENCE, pause: float = PAUSE
) -> EngineAnswer | None:
    """Wait until the engine answers over TLS and return its answer; None for machines of driver ``none``.

    It is asked every ``pause`` seconds, for ``patience`` seconds; then the last error is raised. An error that
    waiting cannot fix is raised at once. Raises ``NoSuchMachine`` if the machine is removed meanwhile.
    """
    _refuse_removed(machine, tools)
    if machine.endpoint is None or "ca.pem" not in tools.store.secrets(machine.name):
        return None
    folder = tools.store.materialise(machine.name)
    failure: PymachineError | None = None
    for _ in tools.clock.ticks(patience, pause):
        try:
            return tools.ask_engine(machine.endpoint, folder, deadline=ANSWER_DEADLINE)
        except PymachineError as error:
            _refuse_removed(machine, tools)
            # An engine that starts may close connections before it answers them.
            if not (error.retryable or isinstance(error, EngineError)):
                raise
            failure = error
    assert failure is not None, "it was asked"
    raise failure


def _refuse_removed(machine: Machine, tools: Services) -> None:
    """Raise if the machine was removed or replaced while it was waited for without the lease."""
    if tools.store.get(machine.name).id != machine.id:
        raise NoSuchMachine(
            f"machine {machine.name} was removed in the meantime, and another one was created with its name"
        )


def right_clock(machine: Machine, session: Session) -> None:
    """Set the clock of a resumed host, which continues at the time when it was saved; no certificate is valid then.

    Differences under a minute are left to the host's own time service, which corrects them without a jump.
    """
    if machine.ssh is None:
        return
    tools = session.tools
    transport = session.transport(machine, retry_for=AWAKE_PATIENCE)
    before = tools.now()
    told = transport.run(Command.of("date", "-u", "+%s"), deadline=AWAKE_PATIENCE).text.strip()
    skew = clock_skew(float(told), before, tools.now()) if told.isdecimal() else 0.0
    if abs(skew) <= CLOCK_TOLERANCE:
        return
    result = transport.run(Command.of("date", "-u", "-s", f"@{tools.now():.0f}"), root=True, deadline=AWAKE_PATIENCE)
    direction = "ahead" if skew > 0 else "behind"
    outcome = "it could not be corrected" if result.exit_code else "it was corrected"
    tools.reporter.notice(machine.name, f"its clock was {abs(skew):.0f} s {direction}: {outcome}")
