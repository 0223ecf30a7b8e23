"""``pymachine create``: from a name and a driver to an engine that answers over TLS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymachine.create_request import CreateRequest, begun
from pymachine.driver import Driver, PlansBeforeBoot
from pymachine.engine.effects import Aspect, Change
from pymachine.model import Machine, check_name
from pymachine.steps import credentials
from pymachine.steps.allocate import Allocate, Locate
from pymachine.steps.certificates import Certify
from pymachine.steps.engine import Complete, SetUpEngine, Verify
from pymachine.steps.first_boot import Carry, Foresee, SetUp
from pymachine.steps.journal import journalled
from pymachine.steps.login import MakeLogin
from pymachine.steps.preview import Preview, preview_of
from pymachine.steps.reach import Reach
from pymachine.steps.refusal import refusing
from pymachine.steps.request import request_for
from pymachine.steps.services import Services
from pymachine.steps.session import Session, Step, working
from pymachine.steps.survey import Survey


def create(order: CreateRequest, tools: Services) -> Machine:
    """Make the machine, or continue one whose create stopped half-way; return its record.

    Raises ``CheckFailed`` or ``UsageFault`` before anything was made (see ``refusing``), ``StepFailed`` after; the
    record then says where it stopped.
    """
    check_name(order.name)
    driver = tools.driver(order.driver, adopted=order.adopted)
    with working(order.name, f"{order.verb} {order.name}", tools, driver) as session:
        machine = begun(order, tools)
        session.verb, session.makes, session.fresh = order.verb, True, machine.rev == 0
        credentials.give(driver, machine, tools.store, order.options)
        with refusing(session, machine):
            driver.check(request_for(machine, order.options, tools))
        machine = session.save(*credentials.kept(machine, order.options))
        with journalled(session, machine, order.verb):
            return session.perform(_steps(driver, order.options), machine)


def preview_create(order: CreateRequest, tools: Services) -> Preview:
    """Say what ``create`` would do. Looks at the host if there is one already; changes nothing."""
    check_name(order.name)
    driver = tools.driver(order.driver, adopted=order.adopted)
    machine = begun(order, tools)
    credentials.give(driver, machine, tools.store, order.options)
    driver.check(request_for(machine, order.options, tools))
    session, survey = Session(tools, driver, recorded=False, makes=True, fresh=True), Survey(Certify())
    try:
        machine = session.perform((Locate(order.options), Reach(), survey), machine)
    finally:
        session.disconnect()
    made = () if driver.preexisting else (Change("make the host", f"by driver {order.driver}", Aspect.HOST),)
    return preview_of(order.verb, machine, survey.plan, made)


def _steps(driver: Driver, options: Any) -> Sequence[Step]:
    if isinstance(driver, PlansBeforeBoot) and not driver.preexisting:
        return _planned_before_boot(options)
    return _over_ssh(driver, options)


def _over_ssh(driver: Driver, options: Any) -> Sequence[Step]:
    """Take the host that is there, or have it made, and set it up over SSH."""
    key, certify = MakeLogin(driver), Certify()
    survey = Survey(certify)
    return (
        key,
        Allocate(options, keys=key),
        Reach(),
        survey,
        certify,
        SetUpEngine(survey),
        Verify(survey),
        Complete(),
    )


def _planned_before_boot(options: Any) -> Sequence[Step]:
    """Have the host made with its keys, certificates and set-up inside: its address is known before it boots."""
    planned = Foresee(options)
    carried = Carry(planned)
    engine = SetUp(carried)
    return (
        planned,
        carried,
        Allocate(options, keys=planned, carried=carried),
        engine,
        Verify(engine),
        Complete(),
    )
