"""``pymachine provision`` and ``pymachine upgrade``: set up the engine of an existing machine again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pymachine.engine.bundle import Bundle
from pymachine.engine.options import wanted_config
from pymachine.engine.upgrade import plan_upgrade, upgrade_bundle
from pymachine.errors import CheckFailed, NotSupported
from pymachine.model import Endpoint, Machine, Phase, SshAddress
from pymachine.steps.address import located_at_work, with_address_certified
from pymachine.steps.certificates import Certify
from pymachine.steps.engine import Complete, SetUpEngine, Verify, run_bundle
from pymachine.steps.journal import journalled
from pymachine.steps.preview import Preview, preview_of
from pymachine.steps.reach import Reach
from pymachine.steps.relocation import changes_between, relocated
from pymachine.steps.services import Services
from pymachine.steps.session import Session, working
from pymachine.steps.survey import Survey, collect_facts
from pymachine.tls import Part


def provision(
    name: str,
    tools: Services,
    *,
    spec_changes: Mapping[str, Any] | None = None,
    reach: Mapping[str, Any] | None = None,
    host_key: str | None = None,
    renew: Collection[Part] = (),
) -> Machine:
    """Set up the machine's engine again with changed fields of its ``EngineSpec``; return the record.

    The changes are recorded when they are in effect on the host; if a provision fails, the former options stay, on
    record and on the host. ``reach`` are options of the driver for a new address or login: once the host has proved
    by its host key that it is the same, they are recorded before anything else is done. ``host_key`` replaces the
    pinned SSH host key (a reinstalled host). ``renew`` are certificates that are issued again: ``ca`` replaces the
    machine's authority and everything that it signed, so former client keys are refused; others are signed by the
    authority in use. They are recorded before they are sent, so a failed provision can simply be repeated.
    Raises as ``create`` does.
    """
    driver = tools.driver_of(tools.store.get(name))
    changes = spec_changes or {}
    with working(name, f"provision {name}", tools, driver) as session:
        before = located_at_work(tools.store.get(name), session)
        _provisionable(before)
        former = relocated(before, reach or {}, session, host_key=host_key)
        machine = _changed(former, changes, host_key)
        session.former = former if changes else None
        _tell_of_cut_off(former, tools)
        with journalled(session, machine, "provision", {"changes": sorted(changes)}):
            certify = Certify(renew=renew)
            survey = Survey(certify, moved=former.endpoint != before.endpoint)
            steps = (Reach(), survey, certify, SetUpEngine(survey), Verify(survey), Complete())
            return session.perform(steps, machine)


def preview_provision(
    name: str,
    tools: Services,
    *,
    spec_changes: Mapping[str, Any] | None = None,
    reach: Mapping[str, Any] | None = None,
    host_key: str | None = None,
    renew: Collection[Part] = (),
) -> Preview:
    """Return what ``provision`` would do. Surveys the host, changes nothing."""
    machine = tools.store.get(name)
    session = Session(tools, tools.driver_of(machine), recorded=False)
    try:
        before = located_at_work(machine, session)
        _provisionable(before)
        former = relocated(before, reach or {}, session, host_key=host_key)
        session.former = former if spec_changes else None
        machine = _changed(former, spec_changes or {}, host_key)
        survey = Survey(Certify(renew=renew), moved=former.endpoint != before.endpoint)
        machine = session.perform((Reach(), survey), machine)
        return preview_of("provision", machine, survey.plan, changes_between(before, former))
    finally:
        session.disconnect()


def upgrade(name: str, tools: Services, *, version: str | None = None) -> Machine:
    """Upgrade the engine to ``version``, or to the newest of its source; return the record.

    A downgrade is refused with ``CheckFailed``.
    """
    driver = tools.driver_of(tools.store.get(name))
    with working(name, f"upgrade {name}", tools, driver) as session:
        machine = _upgradable(tools.store.get(name))
        with journalled(session, machine, "upgrade"):
            found = located_at_work(machine, session)
            machine = with_address_certified(found, session) if found != machine else machine
            return session.perform((Reach(), Upgrade(version), Verify(), Complete()), machine)


def preview_upgrade(name: str, tools: Services, *, version: str | None = None) -> Preview:
    """Return what ``upgrade`` would do. Surveys the host, changes nothing."""
    machine = _upgradable(tools.store.get(name))
    session = Session(tools, tools.driver_of(machine), recorded=False)
    try:
        machine = session.perform((Reach(),), located_at_work(machine, session))
        plan = plan_upgrade(replace(machine.engine, version=version), collect_facts(machine, session))
        return Preview("upgrade", machine, plan.changes, plan.announcements)
    finally:
        session.disconnect()


class Upgrade:
    """Install another version of the engine's packages."""

    title = "upgrading the engine"

    def __init__(self, version: str | None) -> None:
        self._version = version

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Survey, plan, upload and run; record a version that was requested."""
        spec = replace(machine.engine, version=self._version)
        run_bundle(machine, session, self._bundle(machine, session), self.title)
        return machine.with_(engine=spec) if self._version else machine

    def _bundle(self, machine: Machine, session: Session) -> Bundle:
        plan = plan_upgrade(replace(machine.engine, version=self._version), collect_facts(machine, session))
        for announcement in plan.announcements:
            session.tools.reporter.notice(machine.name, announcement)
        return upgrade_bundle(plan)


def _changed(machine: Machine, spec_changes: Mapping[str, Any], host_key: str | None) -> Machine:
    ssh = _provisionable(machine)
    engine = replace(machine.engine, **spec_changes)
    wanted_config(engine, machine.driver)  # options that do not go with those on record
    return machine.with_(
        engine=engine,
        endpoint=_moved(machine.endpoint, machine.engine.port, engine.port),
        ssh=replace(ssh, host_key=host_key) if host_key else ssh,
    )


def _moved(endpoint: Endpoint | None, port: int, wanted: int) -> Endpoint | None:
    """Return the endpoint: one on the engine's own port follows the engine, one that the driver mapped stays."""
    return replace(endpoint, port=wanted) if endpoint and endpoint.port == port else endpoint


def _tell_of_cut_off(machine: Machine, tools: Services) -> None:
    """Report the changes that an interrupted provision may have left on the host; they are not on record."""
    for operation in tools.store.operations(machine.name, unfinished=True):
        changes = operation.payload.get("changes")
        if changes and operation.machine_id == machine.id:
            tools.store.finish(operation.id, "failed", "cut off")
            tools.reporter.notice(
                machine.name,
                f"a provision was interrupted while changing {', '.join(changes)}: repeat its options to apply them",
            )


def _provisionable(machine: Machine) -> SshAddress:
    if machine.guest:
        raise CheckFailed(
            f"the host of machine {machine.name} was set up from another store, and is not changed from this one",
            hint="run the command where the machine was created",
        )
    if machine.phase is Phase.REMOVING or (machine.ssh is None and machine.phase is not Phase.READY):
        raise _not_ready(machine)
    if machine.ssh is None:
        raise NotSupported(
            f"machine {machine.name} (driver {machine.driver}) has no host that pymachine could set up",
            hint="its engine is managed elsewhere: only its address is on record",
        )
    return machine.ssh


def _upgradable(machine: Machine) -> Machine:
    _provisionable(machine)
    if machine.phase is not Phase.READY:
        raise _not_ready(machine)
    return machine


def _not_ready(machine: Machine) -> CheckFailed:
    removing = machine.phase is Phase.REMOVING
    verb = "adopt" if machine.adopted else "create"
    way_on = f"`pymachine rm {machine.name}` continues it" if removing else f"run its {verb} command again first"
    return CheckFailed(f"machine {machine.name} is not ready ({machine.phase})", hint=way_on)
