"""``pymachine create``: from a name and a driver to an engine that answers over TLS."""

from __future__ import annotations

from collections.abc import Sequence

from pymachine.create_request import CreateRequest, begun
from pymachine.driver import Driver, PlansBeforeBoot
from pymachine.engine.effects import Aspect, Change
from pymachine.model import Machine, check_name
from pymachine.steps.certificates import Certify
from pymachine.steps.engine import Complete, SetUpEngine, Verify
from pymachine.steps.first_boot import Carry, Foresee, SetUp
from pymachine.steps.host import Allocate, Locate, Reach, Survey, request_for
from pymachine.steps.journal import journalled
from pymachine.steps.login import MakeLogin, authorises_key
from pymachine.steps.preview import Preview, preview_of
from pymachine.steps.refusal import refusing
from pymachine.steps.services import Services
from pymachine.steps.session import Session, Step, working


def create(order: CreateRequest, tools: Services) -> Machine:
    """Make the machine, or go on with one whose create stopped half-way; return its record.

    Raises ``CheckFailed`` or ``UsageFault`` before anything was made, ``StepFailed`` after; the record then
    says where it stopped.
    """
    check_name(order.name)
    driver = tools.driver(order.driver, adopted=order.adopted)
    with working(order.name, f"{order.verb} {order.name}", tools, driver) as session:
        machine = begun(order, tools)
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
    machine = begun(order, tools)
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


def _remaining_steps(driver: Driver, order: CreateRequest) -> Sequence[Step]:
    if isinstance(driver, PlansBeforeBoot):
        before = (Carry(), Allocate(order.options))
        return (*before, SetUp(), Verify(), Complete())
    host = () if driver.preexisting else (Reach(), Survey(Certify()))
    return (*host, Certify(), SetUpEngine(), Verify(), Complete())


def _host_steps(order: CreateRequest) -> Sequence[Step]:
    return (Allocate(order.options), Reach(), Survey(Certify()))
