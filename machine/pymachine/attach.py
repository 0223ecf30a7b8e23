"""``pymachine attach``: take a host that another store set up into this one as well, beside that store."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pymachine import tls
from pymachine.documents import to_document
from pymachine.driver import Driver, Locates, Request
from pymachine.engine.facts import HostFacts
from pymachine.engine.trust import (
    EngineAccess,
    TrustPlan,
    access_of,
    plan_trust,
    with_authority,
    without_authority,
)
from pymachine.errors import CheckFailed, PymachineError, Unreachable
from pymachine.model import Endpoint, EngineSpec, Machine, Phase, check_name
from pymachine.steps.engine import ANSWER_DEADLINE, Complete, blocked
from pymachine.steps.journal import journalled
from pymachine.steps.preview import Preview
from pymachine.steps.reach import Reach
from pymachine.steps.services import Services
from pymachine.steps.session import Session, advanced, timestamp, working
from pymachine.steps.survey import collect_facts
from pymachine.steps.trust import check_named, place_list, read_list, refuse_member
from pymachine.store.client_files import materialised
from pymachine.tls import check_clock

DRIVER = "ssh"
APPEND = "append an authority of this store"


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """The host to attach, by ``options`` of the ssh driver. ``name`` empty means the name that it has there.

    ``restarts_member`` permits the restart of an engine that is a node of a Swarm.
    """

    options: Any
    name: str = ""
    restarts_member: bool = False


@dataclass(frozen=True, slots=True)
class _Host:
    """A host as it was found: ``listed`` is the engine's list of authorities."""

    machine: Machine
    facts: HostFacts
    access: EngineAccess
    listed: bytes

    def plan(self, tools: Services, authority: bytes) -> TrustPlan:
        """Plan to append an authority of this store."""
        final = with_authority(self.listed, authority, tools.store.identity)
        return plan_trust(self.facts, self.access, self.listed, final, APPEND)


def attach(request: AttachRequest, tools: Services, agreed: Callable[[Preview], bool]) -> Machine | None:
    """Attach the host, and return its record; None if ``agreed`` says no to what would be done.

    The former clients keep their access. An attach that stopped half-way is continued. Raises ``CheckFailed`` for a
    host that cannot be attached, before anything is made or touched; else as ``provision`` does.
    """
    driver: Any = tools.driver(DRIVER)
    host = _look(request, tools, driver)
    name = host.machine.name
    if not agreed(_preview(host, tools)):
        return None
    with working(name, f"attach {name}", tools, driver) as session:
        _refuse_taken(host.machine, tools)
        machine = _recorded(host, session)
        with journalled(session, machine, "attach"):
            steps = (Reach(), _Trust(host), _Ask(), Complete())
            return session.perform(steps, machine)


def preview_attach(request: AttachRequest, tools: Services) -> Preview:
    """Return what ``attach`` would do. Looks at the host, changes nothing."""
    return _preview(_look(request, tools, tools.driver(DRIVER)), tools)


def _preview(host: _Host, tools: Services) -> Preview:
    plan = host.plan(tools, b"")
    return Preview("attach", host.machine, plan.changes, plan.announcements)


def _look(request: AttachRequest, tools: Services, driver: Driver) -> _Host:
    """Log in and collect what has to be known. Nothing is recorded."""
    assert isinstance(driver, Locates)
    machine = _found(request, driver, uuid.uuid4().hex, tools.now())
    session = Session(tools, driver, recorded=False, makes=True, fresh=True)
    try:
        machine = session.perform((Reach(),), machine)
        before = tools.now()
        facts = collect_facts(machine, session)
        check_clock(facts.clock, before, tools.now())
        access = access_of(facts)
        if not request.restarts_member:
            refuse_member(facts)
        assert machine.endpoint is not None
        check_named(machine, session, access, machine.endpoint.host)
        listed = read_list(machine, session, access.path)
    finally:
        session.disconnect()
    name = check_name(request.name or (access.manifest.name if access.manifest else facts.hostname))
    endpoint = Endpoint(machine.endpoint.host, access.port)
    version = facts.engine.version if facts.engine else None
    machine = replace(
        machine, name=name, endpoint=endpoint, engine=EngineSpec(port=access.port), engine_version=version,
        addresses=facts.addresses,
    )  # fmt: skip
    _refuse_taken(machine, tools)
    return _Host(machine, facts, access, listed)


def _found(request: AttachRequest, driver: Locates, machine_id: str, now: float) -> Machine:
    asked = Request(request.name or "host", machine_id, request.options, EngineSpec().port)
    instance = driver.locate(asked)
    return Machine(
        request.name or "host", machine_id, DRIVER, handle=instance.handle, options=to_document(request.options),
        ssh=instance.ssh, guest=True, created=timestamp(now),
    )  # fmt: skip


def _refuse_taken(machine: Machine, tools: Services) -> None:
    """Refuse a name that is in use, except by an attach of the same host that was not completed."""
    found = tools.store.find(machine.name)
    if found is None or (found.guest and found.phase is not Phase.READY and _same_host(found, machine)):
        return
    raise CheckFailed(
        f"there is a machine {machine.name} already", hint="give another name: pymachine attach USER@HOST NAME"
    )


def _same_host(one: Machine, other: Machine) -> bool:
    return one.ssh is not None and other.ssh is not None and one.ssh.host_key == other.ssh.host_key


def _recorded(host: _Host, session: Session) -> Machine:
    """Save the record with the keys of this store, before anything on the host is touched."""
    store = session.tools.store
    former = store.find(host.machine.name)
    machine = host.machine if former is None else replace(host.machine, id=former.id, rev=former.rev)
    now = datetime.fromtimestamp(session.tools.now(), UTC)
    theirs = without_authority(host.listed, store.identity)
    issued = tls.issue_beside(machine.name, theirs, store.secrets(machine.name), now)
    return session.save(machine.with_(certificates=issued.certificates), issued.files)


class _Trust:
    """Have the engine accept the clients of this store."""

    title = "appending the authority"

    def __init__(self, host: _Host) -> None:
        self._host = host

    def needs(self, machine: Machine) -> bool:
        """Every host that is attached."""
        return True

    def run(self, machine: Machine, session: Session) -> Machine:
        """Nothing happens if the engine accepts them already, as after an attach that was interrupted."""
        authority = tls.first_authority(session.secrets(machine)["ca.pem"])
        plan = self._host.plan(session.tools, authority)
        if plan.final == self._host.listed and _answers(machine, session):
            return advanced(machine, Phase.ENGINE)
        place_list(plan, machine, session, self.title)
        return advanced(machine, Phase.ENGINE)


class _Ask:
    """See that the engine answers from here with the certificates of this store."""

    title = "asking the engine over TLS"

    def needs(self, machine: Machine) -> bool:
        """Every host that is attached."""
        return True

    def run(self, machine: Machine, session: Session) -> Machine:
        """The former clients are accepted in any case, so nothing is undone if it does not answer here."""
        assert machine.endpoint is not None
        try:
            version = _ask(machine, session)
        except Unreachable as error:
            raise blocked(machine.name, machine.endpoint, error) from error
        return machine.with_(engine_version=version)


def _ask(machine: Machine, session: Session) -> str:
    assert machine.endpoint is not None
    folder = materialised(session.tools.store, machine.name)
    return session.tools.ask_engine(machine.endpoint, folder, deadline=ANSWER_DEADLINE).version


def _answers(machine: Machine, session: Session) -> bool:
    try:
        _ask(machine, session)
    except PymachineError:
        return False
    return True
