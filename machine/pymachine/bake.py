"""Bake an image: install the engine into the image that a create requests, and keep the result.

A temporary machine is created for this with the usual steps and removed at the end, so the user's machine is not
touched. If baking is interrupted, the temporary machine is shown by ``ls`` and removed by ``rm``.
"""

from __future__ import annotations

from dataclasses import replace

from pymachine.create import create
from pymachine.create_request import CreateRequest
from pymachine.driver import Baked, Bakes, Baking
from pymachine.engine.bundle import finish_extras
from pymachine.engine.removal import plan_removal, removal_bundle
from pymachine.errors import CheckFailed, PymachineError, RemoteCommandFailed, refuses, too_late
from pymachine.model import Machine, Phase, check_name
from pymachine.remove import remove
from pymachine.steps.engine import SETUP_DEADLINE, run_bundle
from pymachine.steps.journal import journalled
from pymachine.steps.request import request_for
from pymachine.steps.services import Services
from pymachine.steps.session import Session, timestamp, working
from pymachine.steps.survey import collect_facts
from pymachine.templates import render
from pymachine.transport import Command

LABEL = "bakes"  # of a machine that is made to become an image: the image's name
INSTALLED = "installed"  # in its record: the packages that came with its engine
OS_RELEASE = "os_release"  # in its record, once it is sealed: the text of that file
DEADLINE = 300.0


def bake(order: CreateRequest, tools: Services) -> str | None:
    """Bake the image that the order requests; return the name of the image that was kept.

    Returns None if there is nothing to bake: for drivers that cannot bake, for an image that has an engine, and for a
    machine that is on record or adopted. A second call continues, or starts again if the machine was already sealed.
    Raises as ``create``.
    """
    driver = tools.driver(order.driver)
    if not isinstance(driver, Bakes) or order.adopted or tools.store.find(check_name(order.name)) is not None:
        return None
    request = request_for(_prospective(order, tools), order.options, tools)
    driver.check(request)
    name = check_name(f"{order.name}-bake")
    baking = driver.baking(replace(request, progress=tools.listener(name, "baking").progress))
    if baking is None:
        return None
    machine = _made(replace(order, name=name, options=baking.options, labels={LABEL: baking.image}), tools)
    payload = {"image": baking.image}
    with (
        working(name, f"bake {baking.image}", tools, driver) as session,
        journalled(session, machine, "bake", payload),
    ):
        session.touched = True  # its machine is there
        session.perform((TakeSetUpOff(), Seal(), Keep(baking)), machine)
    remove(name, tools)
    return baking.image


def bake_and_create(order: CreateRequest, tools: Services) -> Machine:
    """Bake the image if the order requests it, then create the machine; return its record."""
    image = bake(order, tools)
    try:
        return create(order, tools)
    except PymachineError as error:
        if image is None or not refuses(error):
            raise
        raise too_late(error, "creating", f"image {image} was baked and is kept") from error


class TakeSetUpOff:
    """Remove pymachine's set-up from the machine; the engine stays."""

    title = "removing the set-up"

    def needs(self, machine: Machine) -> bool:
        """Always."""
        return True

    def run(self, machine: Machine, session: Session) -> Machine:
        """Remove the set-up; the list of packages that came with the engine is kept."""
        _finish_extras(machine, session)
        facts = collect_facts(machine, session)
        machine = session.save(machine.with_(phase=Phase.REMOVING))
        run_bundle(machine, session, removal_bundle(plan_removal(facts, owner=machine.id)), self.title)
        return machine.with_(extra={**machine.extra, INSTALLED: list(facts.installed)})


def _finish_extras(machine: Machine, session: Session) -> None:
    """Install the packages that follow an engine now, because they belong in the image.

    Raises ``RemoteCommandFailed``.
    """
    result = session.transport(machine).run(finish_extras(), root=True, deadline=SETUP_DEADLINE)
    if result.exit_code:
        lines = tuple(result.error_text.strip().splitlines()[-5:])
        raise RemoteCommandFailed("install what follows the engine", result.exit_code, lines)


class Seal:
    """Remove from the machine everything that identifies it."""

    title = "sealing"

    def needs(self, machine: Machine) -> bool:
        """Always."""
        return True

    def run(self, machine: Machine, session: Session) -> Machine:
        """Seal the machine.

        Afterwards nobody can log in, and its engine is disabled until it has a configuration again.
        """
        assert machine.ssh is not None
        words = (machine.ssh.user or "root", *machine.extra[INSTALLED])
        script = Command.script(render("engine/seal.sh.j2"), *words)
        result = session.transport(machine).run(script, root=True, deadline=DEADLINE)
        if result.exit_code:
            lines = tuple(result.error_text.strip().splitlines()[-5:])
            raise RemoteCommandFailed("seal the machine", result.exit_code, lines)
        session.disconnect()
        return machine.with_(extra={**machine.extra, OS_RELEASE: result.text})


class Keep:
    """Have the driver keep the machine's disk as an image."""

    title = "keeping the image"

    def __init__(self, baking: Baking) -> None:
        self._baking = baking

    def needs(self, machine: Machine) -> bool:
        """Always."""
        return True

    def run(self, machine: Machine, session: Session) -> Machine:
        """Tell the driver which engine is inside."""
        assert isinstance(session.driver, Bakes)
        assert machine.handle is not None
        baked = Baked(self._baking.image, machine.engine_version or "", machine.extra[OS_RELEASE])
        session.driver.keep(machine.handle, baked, session.tools.listener(machine.name, self.title))
        return machine


def _prospective(order: CreateRequest, tools: Services) -> Machine:
    """Return a record of the user's machine that is not stored, to ask the driver about its options."""
    return Machine(
        name=order.name, id="0" * 32, driver=order.driver, engine=order.engine, created=timestamp(tools.now())
    )


def _made(order: CreateRequest, tools: Services) -> Machine:
    """Return the complete temporary machine, made now or by an earlier run that stopped here."""
    found = tools.store.find(order.name)
    if found is not None and LABEL not in found.labels:
        raise CheckFailed(
            f"baking needs the temporary machine name {order.name}, which is already in use",
            hint="give the machine another name, or create it without baking",
        )
    if found is not None and found.phase is Phase.READY:
        return found
    if found is not None and found.phase is Phase.REMOVING:
        remove(order.name, tools)
    return create(order, tools)
