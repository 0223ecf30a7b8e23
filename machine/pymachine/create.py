"""``pymachine create``: from a name and a driver to an engine that answers over TLS."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymachine.documents import to_document
from pymachine.driver import Driver, PlansBeforeBoot
from pymachine.engine.effects import Aspect, Change
from pymachine.errors import CheckFailed
from pymachine.model import EngineSpec, Machine, Phase, check_name
from pymachine.steps.certificates import Certify
from pymachine.steps.engine import Complete, SetUpEngine, Verify
from pymachine.steps.first_boot import Carry, Foresee, SetUp
from pymachine.steps.host import Allocate, Locate, Reach, Survey, request_for
from pymachine.steps.journal import journalled
from pymachine.steps.login import MakeLogin, authorises_key
from pymachine.steps.preview import Preview, preview_of
from pymachine.steps.refusal import refusing
from pymachine.steps.services import Services
from pymachine.steps.session import Session, Step, timestamp, working
from pymachine.store import readable


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What the user asked for. ``options`` is an instance of the driver's options class.

    ``adopted`` is what the driver calls an instance that is to be taken over, empty where one is to be made.
    ``fleet`` names the inventory that the machine belongs to from its first record on, empty for none.
    """

    name: str
    driver: str
    options: Any
    engine: EngineSpec = field(default_factory=EngineSpec)
    labels: Mapping[str, str] = field(default_factory=dict)
    adopted: str = ""
    fleet: str = ""

    @property
    def verb(self) -> str:
        """The command that it is given by."""
        return "adopt" if self.adopted else "create"


def create(order: CreateRequest, tools: Services) -> Machine:
    """Make the machine, or go on with one whose create stopped half-way; return its record.

    Raises ``CheckFailed`` or ``UsageFault`` before anything was made, ``StepFailed`` after; the record then
    says where it stopped.
    """
    check_name(order.name)
    driver = tools.driver(order.driver, adopted=order.adopted)
    with working(order.name, f"{order.verb} {order.name}", tools, driver) as session:
        machine = _begun(order, tools)
        session.verb, session.makes, session.fresh = order.verb, True, machine.rev == 0
        with refusing(session, machine):
            driver.check(request_for(machine, order.options, tools))
        machine = session.save(machine)
        with journalled(session, machine, order.verb):
            if authorises_key(driver):
                machine = session.perform((MakeLogin(),), machine)
            if driver.preexisting:
                machine = _looked_at(machine, order, session)
            elif isinstance(driver, PlansBeforeBoot):
                machine = session.perform((Foresee(order.options),), machine)
            else:
                machine = session.perform((Allocate(order.options),), machine)
            return session.perform(_remaining_steps(driver, order), machine)


def preview_create(order: CreateRequest, tools: Services) -> Preview:
    """Say what ``create`` would do. Looks at the host if there is one already; changes nothing."""
    check_name(order.name)
    driver = tools.driver(order.driver, adopted=order.adopted)
    machine = _begun(order, tools)
    driver.check(request_for(machine, order.options, tools))
    session = Session(tools, driver, recorded=False, preflight=True)
    try:
        machine = session.perform((Locate(order.options), Reach(), Survey(Certify())), machine)
    finally:
        session.disconnect()
    made = () if driver.preexisting else (Change("make the host", f"by driver {order.driver}", Aspect.HOST),)
    return preview_of(order.verb, machine, session, made)


def _looked_at(machine: Machine, order: CreateRequest, session: Session) -> Machine:
    """Look at a host that is there already; whatever is wrong with it is a refusal, if the machine is new."""
    session.preflight = session.fresh
    machine = session.perform(_host_steps(order), machine)
    session.preflight = False
    return machine


def _begun(order: CreateRequest, tools: Services) -> Machine:
    """Return the record to work on: a new one, or the half-made one with the options of this order."""
    found = tools.store.find(order.name)
    if order.adopted:
        _refuse_adopted(order, tools)
    if found is None:
        return _new(order, tools)
    if found.phase is Phase.READY:
        raise CheckFailed(
            f"machine {found.name} already exists",
            hint=f"`pymachine provision {found.name}` sets it up again, `pymachine rm {found.name}` removes it",
        )
    if found.phase is Phase.REMOVING or (found.driver, found.adopted) != (order.driver, order.adopted):
        of = f", of {found.adopted}" if found.adopted else ""
        raise CheckFailed(
            f"machine {found.name} is half-{_half(found)} (driver {found.driver}{of}, {found.phase})",
            hint=f"`pymachine rm {found.name}` removes it",
        )
    # Without the endpoint: the port may be another one now.
    found = found.with_(options=to_document(order.options), engine=order.engine, labels=order.labels, endpoint=None)
    return found.with_(fleet=order.fleet or found.fleet)


def _refuse_adopted(order: CreateRequest, tools: Services) -> None:
    """An instance is one machine's. Raises ``CheckFailed``."""
    for record in readable(tools.store):
        if record.adopted != order.adopted:
            continue
        if record.name.lower() != order.name.lower() and tools.same_driver(record.driver, order.driver):
            raise CheckFailed(
                f"{order.adopted} is machine {record.name} already",
                hint=f"`pymachine rm {record.name}` releases it",
            )


def _half(machine: Machine) -> str:
    return "removed" if machine.phase is Phase.REMOVING else "made"


def _new(order: CreateRequest, tools: Services) -> Machine:
    return Machine(
        name=order.name,
        id=uuid.uuid4().hex,
        driver=order.driver,
        options=to_document(order.options),
        engine=order.engine,
        labels=order.labels,
        adopted=order.adopted,
        fleet=order.fleet,
        created=timestamp(tools.now()),
    )


def _remaining_steps(driver: Driver, order: CreateRequest) -> Sequence[Step]:
    if isinstance(driver, PlansBeforeBoot):
        before = (Carry(), Allocate(order.options))
        return (*before, SetUp(), Verify(), Complete())
    host = () if driver.preexisting else (Reach(), Survey(Certify()))
    return (*host, Certify(), SetUpEngine(), Verify(), Complete())


def _host_steps(order: CreateRequest) -> Sequence[Step]:
    return (Allocate(order.options), Reach(), Survey(Certify()))
