"""Follows an instance to another address: first the record, then certificates and engine."""

from __future__ import annotations

from dataclasses import replace

from pymachine.driver import Instance, TracksAddress
from pymachine.errors import CheckFailed, PymachineError
from pymachine.model import Endpoint, Machine, Phase, SshAddress, State
from pymachine.steps.certificates import Certify
from pymachine.steps.engine import Complete, SetUpEngine, Verify
from pymachine.steps.reach import BOOT_PATIENCE, Reach
from pymachine.steps.session import Session
from pymachine.steps.survey import Survey

LOOK_DEADLINE = 5.0
_OFF = (State.STOPPED, State.STOPPING, State.SAVED, State.PAUSED, State.MISSING)


def located(machine: Machine, session: Session) -> Machine:
    """Return the record with the instance's current address, saved; the same record if it has not moved.

    The host must show the key that was pinned. Raises ``DriverError``.
    """
    if not isinstance(session.driver, TracksAddress) or machine.handle is None or machine.ssh is None:
        return machine
    found = _at(machine, machine.ssh, session.driver.whereabouts(machine.handle))
    if not _differs(machine, found):
        return machine
    session.disconnect()
    session.tools.reporter.notice(machine.name, _news(machine, found))
    return session.save(found)


def located_if_told(machine: Machine, session: Session) -> Machine:
    """Do the same for an operation that works without the driver; if it cannot be asked, the record is used."""
    try:
        return located(machine, session)
    except PymachineError as error:
        session.tools.reporter.notice(machine.name, f"its current address could not be determined: {error.message}")
        return machine


def located_at_work(machine: Machine, session: Session) -> Machine:
    """Do the same, and refuse with ``CheckFailed`` a machine that is off."""
    if isinstance(session.driver, TracksAddress):
        state = state_of(machine, session)
        if state in _OFF:
            raise _off(machine, state)
    return located_if_told(machine, session)


def state_of(machine: Machine, session: Session) -> State:
    """Return the state that the driver reports; ``UNKNOWN`` if it cannot be asked."""
    if machine.handle is None:
        return State.UNKNOWN
    try:
        return session.driver.inspect(machine.handle, deadline=LOOK_DEADLINE).state
    except PymachineError:
        return State.UNKNOWN


def with_address_certified(machine: Machine, session: Session) -> Machine:
    """Give the engine a certificate for its current address, and return the record.

    Repeatable after an interruption at any point. A half-made machine is left to its create.
    """
    if machine.phase is not Phase.READY:
        return machine
    certify = Certify()
    survey = Survey(certify)
    steps = (Reach(BOOT_PATIENCE), survey, certify, SetUpEngine(survey), Verify(survey), Complete())
    return session.perform(steps, machine)


def _off(machine: Machine, state: State) -> CheckFailed:
    gone = state is State.MISSING
    way_on = (
        f"`pymachine rm {machine.name}` forgets it" if gone else f"`pymachine start {machine.name}` switches it on"
    )
    return CheckFailed(f"machine {machine.name} is not running ({state})", hint=way_on)


def _at(machine: Machine, before: SshAddress, instance: Instance) -> Machine:
    """Return the record with the driver's data. While it is off, a driver may know no address."""
    if instance.ssh is None or not instance.ssh.host:
        return machine
    reported = instance.addresses or machine.reported_addresses
    return machine.with_(
        ssh=replace(instance.ssh, key_path=before.key_path, host_key=before.host_key or instance.ssh.host_key),
        endpoint=_endpoint(machine, instance, instance.ssh.host),
        addresses=reported or machine.addresses,
        reported_addresses=reported,
    )


def _endpoint(machine: Machine, instance: Instance, host: str) -> Endpoint | None:
    """Return the endpoint: the engine's own port stays; a driver that maps ports knows the mapped one."""
    known = machine.endpoint
    if known is None or (instance.endpoint is not None and known.port != machine.engine.port):
        return instance.endpoint
    return replace(known, host=instance.endpoint.host if instance.endpoint else host)


def _differs(machine: Machine, found: Machine) -> bool:
    return _places(machine) != _places(found)


def _places(machine: Machine) -> tuple[str, Endpoint | None, set[str]]:
    return _host(machine), machine.endpoint, set(machine.reported_addresses)


def _host(machine: Machine) -> str:
    return machine.ssh.host if machine.ssh else ""


def _news(machine: Machine, found: Machine) -> str:
    """Describe what changed: the engine's address, else the login address, else other names."""
    for now, before in ((_engine_host(found), _engine_host(machine)), (_host(found), _host(machine))):
        if now != before:
            return f"its address is now {now} (was {before or 'not known'})"
    before = ", ".join(machine.reported_addresses) or "not known"
    return f"its addresses are now {', '.join(found.reported_addresses)} (were {before})"


def _engine_host(machine: Machine) -> str:
    return machine.endpoint.host if machine.endpoint else ""
