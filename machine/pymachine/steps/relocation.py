"""Follows a host to another address, port, account or key file.

Its host key proves that it is the same host: the one on record, or one that the user confirms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from pymachine.addresses import place
from pymachine.documents import to_document
from pymachine.driver import Driver, Instance, Locates
from pymachine.engine.checks import check_owner
from pymachine.engine.effects import Aspect, Change, Effect
from pymachine.engine.manifest import manifest_of
from pymachine.errors import (
    CheckFailed,
    EngineError,
    HostKeyMismatch,
    NotSupported,
    PymachineError,
    RemoteCommandFailed,
    TransportError,
)  # fmt: skip
from pymachine.fleet.plan.observed import MOVE, REACH
from pymachine.model import Endpoint, Machine, Phase, SshAddress
from pymachine.steps.request import options_on_record, request_for
from pymachine.steps.session import Session
from pymachine.steps.survey import collect_facts

PIN = "ssh_host_key"  # the option that vouches for another key


def relocated(
    machine: Machine, changes: Mapping[str, Any], session: Session, *, host_key: str | None = None
) -> Machine:
    """Return the record with the host's new access, saved after a successful login there.

    ``changes`` are options of the driver by name. Without any, the host is looked up again with the recorded options:
    an alias of the SSH configuration may have another address now. Returns the same record if nothing differs.
    Repeatable after an interruption at any point: certificates and engine follow in the set-up. Raises
    ``CheckFailed``, with nothing changed, if nothing or another host answers there; ``NotSupported`` for a driver
    that determines the address of its hosts.
    """
    driver = session.driver
    if not _follows(driver, machine, changes):
        return machine
    assert isinstance(driver, Locates)
    given = options_on_record(machine, driver.options)
    options = replace(given, **changes) if changes else given
    request = request_for(machine, options, session.tools)
    if changes:
        driver.check(request)
    located = driver.locate(request)
    before = driver.locate(request_for(machine, given, session.tools)) if changes else located
    pin = host_key or changes.get(PIN)
    found = machine.with_(
        options=to_document(options) if changes else machine.options,
        handle=located.handle,
        ssh=_way_now(machine, before.ssh, located.ssh, pin),
    )
    if not _differs(machine, found):
        return machine if found.options == machine.options else session.save(found)
    return _moved(machine, found, located, session)


def leads_to_another_host(machine: Machine, changes: Mapping[str, Any], session: Session) -> bool:
    """Whether another host answers with these options of the driver: it shows another key than the one on record.

    False also if nothing answers there: following the host then fails. For a session without a record.
    """
    try:
        relocated(machine, changes, session)
    except CheckFailed as error:
        return isinstance(error.__cause__, HostKeyMismatch)
    except PymachineError:
        return False
    finally:
        session.disconnect()
    return False


def changes_between(before: Machine, after: Machine) -> tuple[Change, ...]:
    """Return the changes of the host's access, for a preview."""
    if before.endpoint != after.endpoint:
        why = f"{_engine(before)} → {_engine(after)}"
        return (Change("change the address of the engine", why, Aspect.HOST, (Effect.CHANGE_ADDRESS,)),)
    if (before.ssh, before.handle) != (after.ssh, after.handle):
        return (Change("change the SSH access", f"{_way(before)} → {_way(after)}", Aspect.HOST),)
    return ()


def _follows(driver: Driver, machine: Machine, changes: Mapping[str, Any]) -> bool:
    """Whether a host of this driver may have another address. Raises for invalid ``changes``."""
    alters: Mapping[str, str] = getattr(driver, "alters", {})
    if wrong := [name for name in changes if alters.get(name) not in (MOVE, REACH)]:
        flag = f"--{wrong[0].replace('_', '-')}"
        raise NotSupported(
            f"{flag} does not apply to {machine.name}: driver {machine.driver} determines how its hosts are reached",
            hint=f"omit {flag}",
        )
    if machine.phase is not Phase.READY:
        if changes:
            raise CheckFailed(
                f"machine {machine.name} is not ready ({machine.phase})",
                hint="run its create command again first, with the changed options",
            )
        return False
    return driver.preexisting and not machine.adopted and MOVE in alters.values() and isinstance(driver, Locates)


def _way_now(
    machine: Machine, before: SshAddress | None, now: SshAddress | None, pin: str | None
) -> SshAddress | None:
    """Return the recorded access with the differences that the driver reports, and the key of ``pin``.

    The rest stays: a path that was given relative to a folder would differ in this one.
    """
    known = machine.ssh
    if known is None or before is None or now is None:
        return known
    names = [field.name for field in fields(now) if getattr(now, field.name) != getattr(before, field.name)]
    return replace(known, **{name: getattr(now, name) for name in names} | {"host_key": pin or known.host_key})


def _differs(machine: Machine, found: Machine) -> bool:
    """Whether the address or the access differs, without the key."""
    ways = [replace(ssh, host_key=None) for one in (machine, found) if (ssh := one.ssh) is not None]
    return dict(machine.handle or {}) != dict(found.handle or {}) or ways[1:] != ways[:1]


def _moved(machine: Machine, found: Machine, located: Instance, session: Session) -> Machine:
    session.disconnect()
    try:
        seen = session.transport(found).address
        _check_host(found, session)
    except (TransportError, RemoteCommandFailed, EngineError, CheckFailed) as error:
        session.disconnect()
        raise CheckFailed(
            f"{machine.name} stays on record at {_way(machine)}: {error.message}", hint=error.hint
        ) from error
    assert found.ssh is not None
    found = found.with_(ssh=replace(found.ssh, host_key=seen.host_key), endpoint=_endpoint(machine, located, seen))
    if found.endpoint != machine.endpoint:
        text = f"the address of its engine is now {_engine(found)} (was {_engine(machine)})"
        session.tools.reporter.notice(machine.name, text)
    return session.save(found)


def _check_host(found: Machine, session: Session) -> None:
    """Check that root can work there, and whose set-up the host has: a copy of it has the same key.

    Raises ``TransportError``, ``RemoteCommandFailed``, ``EngineError``, ``CheckFailed``.
    """
    manifest = manifest_of(collect_facts(found, session))
    check_owner(manifest, found.name, found.id, take_over=False)


def _endpoint(machine: Machine, located: Instance, seen: SshAddress) -> Endpoint:
    known = located.endpoint or machine.endpoint or Endpoint(seen.host, machine.engine.port)
    return known if located.endpoint else replace(known, host=seen.host)


def _engine(machine: Machine) -> str:
    return place(machine.endpoint.host, machine.endpoint.port) if machine.endpoint else "not known"


def _way(machine: Machine) -> str:
    if machine.ssh is None:
        return "nowhere"
    user = f"{machine.ssh.user}@" if machine.ssh.user else ""
    return user + (place(machine.ssh.host, machine.ssh.port) if machine.ssh.port else machine.ssh.host)
