"""``pymachine clone``: create a machine whose disk is a copy of another machine's."""

from __future__ import annotations

import uuid
from contextlib import ExitStack

from pymachine.driver import Clones, PlansBeforeBoot
from pymachine.errors import CheckFailed, UsageFault
from pymachine.model import Machine, Phase, check_name
from pymachine.steps.allocate import Allocate
from pymachine.steps.certificates import Certify
from pymachine.steps.clone import OwnIdentity, TakeOver
from pymachine.steps.engine import Complete, SetUpEngine, Verify
from pymachine.steps.first_boot import Foresee
from pymachine.steps.journal import journalled
from pymachine.steps.power import handle_of, incapable
from pymachine.steps.reach import Reach
from pymachine.steps.request import options_on_record
from pymachine.steps.services import Services
from pymachine.steps.session import timestamp, working

SOURCE = "cloned_from"  # in the record of a clone: the id of the machine that it is a copy of


def clone(source_name: str, name: str, tools: Services) -> Machine:
    """Create machine ``name`` as a copy of a machine that is powered off, or continue one; return its record.

    It has the source's options, engine settings, labels, images and containers, but its own certificates, keys,
    address and identity. The source may be started again as soon as its disk is copied. Raises ``NotSupported``,
    ``CheckFailed`` before anything is made, ``StepFailed`` after.
    """
    if check_name(name) == source_name:
        raise UsageFault(f"{name} cannot be a clone of itself", hint="give the clone another name")
    source = tools.store.get(source_name)
    driver = tools.driver_of(source)
    if not (isinstance(driver, Clones) and isinstance(driver, PlansBeforeBoot)):
        raise incapable(source, "clone its machines")
    with working(name, f"clone {source.name} to {name}", tools, driver) as session, ExitStack() as held:
        held.enter_context(tools.store.lease(source.name, f"clone {source.name} to {name}"))
        machine = _begun(name, tools.store.get(source.name), tools)
        copied = handle_of(source)
        session.makes, session.fresh = True, machine.rev == 0
        if session.fresh:  # later the copy may be complete, and the source be at work again: the driver knows
            driver.check_source(copied)
        options = options_on_record(source, driver.options)
        machine = session.save(machine)
        with journalled(session, machine, "clone", {"source": source.name}):
            planned, survey = Foresee(options, copied), TakeOver()
            machine = session.perform((planned,), machine)
            held.close()
            steps = (
                Allocate(options, keys=planned, source=copied),
                Reach(),
                OwnIdentity(source),
                survey,
                Certify(),
                SetUpEngine(survey),
                Verify(survey),
                Complete(),
            )
            return session.perform(steps, machine)


def _begun(name: str, source: Machine, tools: Services) -> Machine:
    """Return the record to work on: a new one, or that of a clone of this source that stopped half-way."""
    if source.phase is not Phase.READY:
        raise CheckFailed(
            f"machine {source.name} is not ready ({source.phase})", hint="only a machine that is complete is cloned"
        )
    found = tools.store.find(name)
    if found is None:
        return _new(name, source, tools)
    if found.phase in (Phase.READY, Phase.REMOVING) or found.extra.get(SOURCE) != source.id:
        raise CheckFailed(
            f"machine {found.name} already exists ({found.phase})",
            hint=f"`pymachine rm {found.name}` removes it; or give the clone another name",
        )
    return found


def _new(name: str, source: Machine, tools: Services) -> Machine:
    return Machine(
        name=name,
        id=uuid.uuid4().hex,
        driver=source.driver,
        options=source.options,
        engine=source.engine,
        labels=source.labels,
        created=timestamp(tools.now()),
        extra={SOURCE: source.id},
    )
