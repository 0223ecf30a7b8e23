"""``pymachine start``, ``stop``, ``kill``, ``restart``: with the driver's power control, or over SSH."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pymachine.driver import Handle, PowerControl, TracksAddress
from pymachine.errors import (
    AuthFailed,
    DeadlineExceeded,
    NotSupported,
    TlsError,
    TransportError,
    Unreachable,
)
from pymachine.model import Machine, State
from pymachine.steps.address import located, with_address_certified
from pymachine.steps.journal import journalled
from pymachine.steps.power import PAUSE, await_engine, handle_of, refuse_half_removed, reported, right_clock
from pymachine.steps.renewal import settled
from pymachine.steps.services import Services
from pymachine.steps.session import Session, working
from pymachine.transport import Command, Transport

LOOK_DEADLINE = 5.0
DOWN_PATIENCE = 120.0
UP_PATIENCE = 300.0

_UP = ("start", "restart")
_ASLEEP = (State.PAUSED, State.SAVED)

# A boot is told from the next by the kernel's boot id together with the start of process 1: in a container
# the former is the outer kernel's and does not change.
_BOOT = Command.script("cat /proc/sys/kernel/random/boot_id; cut -d' ' -f22 /proc/1/stat")
# Detached and a moment later, so that the answer still comes through before the network goes.
_LATER = "(sleep 1; {}) >/dev/null 2>&1 </dev/null &"
_REBOOT = Command.script(_LATER.format("systemctl reboot || reboot"))
_POWEROFF = Command.script(_LATER.format("systemctl poweroff || poweroff"))
_CUT = Command.script(_LATER.format("systemctl poweroff --force --force || poweroff -f"))


def start(name: str, tools: Services) -> Machine:
    """Power the machine on and wait for its engine; return the record. It is not an error if it is on.

    If its address has changed, the change is followed: its engine gets a certificate for the new one. Raises
    ``NotSupported`` if the driver cannot power it on, ``CheckFailed`` if there is no host yet, or if ``rm`` has begun
    to remove it.
    """
    with _at_work(name, "start", tools) as (session, machine):
        with reported(name, "start", tools):
            asleep = _switch_on(machine, session)
            found = located(machine, session)
            if asleep:
                right_clock(found, session)
        machine = with_address_certified(found, session) if found != machine else machine
    return _answering(machine, tools)


def stop(name: str, tools: Services) -> Machine:
    """Shut the machine down and wait until it is off; return the record. It is not an error if it is off."""
    listener = tools.listener(name, "stop")
    return _switch_off(name, "stop", tools, lambda driver, handle: driver.stop(handle, listener), _POWEROFF)


def kill(name: str, tools: Services) -> Machine:
    """Power the machine off; return the record. It is not an error if it is off."""
    return _switch_off(name, "kill", tools, lambda driver, handle: driver.kill(handle), _CUT)


def restart(name: str, tools: Services) -> Machine:
    """Restart the machine and wait for its engine; return the record.

    A changed address is followed as by ``start``.
    """
    with _at_work(name, "restart", tools) as (session, machine):
        with reported(name, "restart", tools):
            if isinstance(session.driver, PowerControl):
                session.driver.restart(handle_of(machine), tools.listener(name, "restart"))
            else:
                _reboot(machine, session)
            session.touched = True
            found = located(machine, session)
        machine = with_address_certified(found, session) if found != machine else machine
    return _answering(machine, tools)


@contextmanager
def _at_work(name: str, purpose: str, tools: Services) -> Iterator[tuple[Session, Machine]]:
    machine = tools.store.get(name)
    driver = tools.driver_of(machine)
    if machine.ssh is None and not isinstance(driver, PowerControl):
        raise NotSupported(
            f"driver {machine.driver} cannot control the power of {name}: only its address is on record"
        )
    with working(name, f"{purpose} {name}", tools, driver) as session:
        machine = tools.store.get(name)
        if purpose in _UP:
            refuse_half_removed(machine)
        with journalled(session, machine, purpose):
            yield session, machine


def _switch_on(machine: Machine, session: Session) -> bool:
    """Power on; return whether the machine was resumed or restored."""
    if isinstance(session.driver, PowerControl):
        asleep = session.driver.inspect(handle_of(machine), deadline=LOOK_DEADLINE).state in _ASLEEP
        session.driver.start(handle_of(machine), session.tools.listener(machine.name, "start"))
        session.touched = True
        return asleep
    if not _answers(machine, session):
        raise NotSupported(
            f"driver {machine.driver} cannot power on {machine.name}: nothing answers there",
            hint="power it on at the machine itself or through its management board",
        )
    return False


def _answering(machine: Machine, tools: Services) -> Machine:
    """Wait for the engine, without the lease; follow a changed address again if an earlier run was interrupted."""
    try:
        await_engine(machine, tools)
    except TlsError:
        if settled(machine, tools):
            return _mended(machine.name, tools)
        if not isinstance(tools.driver_of(machine), TracksAddress):
            raise
        return _followed_again(machine.name, tools)
    if machine.fault is not None and machine.fault.verb in _UP:
        return _mended(machine.name, tools)
    return machine


def _followed_again(name: str, tools: Services) -> Machine:
    tools.reporter.notice(name, "its engine's certificate does not cover its current address")
    with _at_work(name, "start", tools) as (session, machine):
        return with_address_certified(located(machine, session), session)


def _mended(name: str, tools: Services) -> Machine:
    """Remove the recorded fault: the engine answers."""
    with _at_work(name, "start", tools) as (session, machine):
        return session.save(machine.with_(fault=None))


def _switch_off(
    name: str, verb: str, tools: Services, switch: Callable[[PowerControl, Handle], None], command: Command
) -> Machine:
    with _at_work(name, verb, tools) as (session, machine), reported(name, verb, tools):
        if isinstance(session.driver, PowerControl):
            switch(session.driver, handle_of(machine))
        elif _answers(machine, session):
            _send(machine, session, command)
            session.disconnect()
            _await_down(machine, session)
        return machine


def _send(machine: Machine, session: Session, command: Command) -> None:
    transport, session.touched = session.transport(machine), True
    result = transport.run(command, root=True, deadline=30.0)
    if result.exit_code:
        raise TransportError(f"the host rejected the command: {result.error_text.strip()[-300:]}")


def _reboot(machine: Machine, session: Session) -> None:
    before = _boot(session.transport(machine))
    if before is None:
        raise TransportError(f"{machine.name} cannot detect a reboot: its /proc cannot be read")
    _send(machine, session, _REBOOT)
    session.disconnect()
    for passed in session.tools.clock.ticks(UP_PATIENCE, PAUSE):
        if passed and _boot_or_none(machine, session) not in (None, before):
            return
    raise DeadlineExceeded(
        f"{machine.name} did not come back from its reboot within {UP_PATIENCE:.0f} s",
        hint="check its console; `pymachine start` waits for the engine once it is up",
    )


def _boot(transport: Transport) -> str | None:
    result = transport.run(_BOOT, deadline=15.0)
    return None if result.exit_code else result.text


def _boot_or_none(machine: Machine, session: Session) -> str | None:
    try:
        return _boot(session.transport(machine))
    except (Unreachable, DeadlineExceeded, AuthFailed):
        # A host on its way down or up turns accounts other than root away (pam_nologin); ours got in before.
        return None
    finally:
        session.disconnect()


def _await_down(machine: Machine, session: Session) -> None:
    for _ in session.tools.clock.ticks(DOWN_PATIENCE, PAUSE):
        if not _still_answers(machine, session):
            return
        session.disconnect()
    raise DeadlineExceeded(
        f"{machine.name} still answers after {DOWN_PATIENCE:.0f} s",
        hint=f"`pymachine kill {machine.name}` does not wait for its services",
    )


def _answers(machine: Machine, session: Session) -> bool:
    """Whether the host answers SSH; behind a jump host this needs a login."""
    state = session.driver.inspect(handle_of(machine), deadline=LOOK_DEADLINE).state
    if state is not State.UNKNOWN:
        return state is State.RUNNING
    try:
        session.transport(machine)
    except Unreachable:
        return False
    return True


def _still_answers(machine: Machine, session: Session) -> bool:
    try:
        return _answers(machine, session)
    except (AuthFailed, DeadlineExceeded):  # on its way down it lets nobody in any more
        return True
