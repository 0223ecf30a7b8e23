"""``pymachine provision`` and ``pymachine upgrade``: the engine set-up again, on a machine that exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pymachine.engine.bundle import Bundle
from pymachine.engine.upgrade import plan_upgrade, upgrade_bundle
from pymachine.errors import CheckFailed, NotSupported
from pymachine.model import Machine, Phase
from pymachine.steps.engine import Certify, Complete, SetUpEngine, Verify, run_bundle
from pymachine.steps.host import Reach, Survey, look
from pymachine.steps.preview import Preview, preview_of
from pymachine.steps.session import Session, Step, journalled, working
from pymachine.steps.tools import Tools


def provision(
    name: str, tools: Tools, *, spec_changes: Mapping[str, Any] | None = None, host_key: str | None = None
) -> Machine:
    """Set the machine's engine up again, with these fields of its ``EngineSpec`` changed; return the record.

    ``host_key`` replaces the pinned SSH host key (a reinstalled host). Raises as ``create`` does.
    """
    driver = tools.load_driver(tools.store.get(name).driver)()
    with working(name, f"provision {name}", tools, driver) as session:
        machine = _changed(tools.store.get(name), spec_changes or {}, host_key)
        with journalled(session, machine, "provision"):
            return session.perform(_provision_steps(), machine)


def preview_provision(
    name: str, tools: Tools, *, spec_changes: Mapping[str, Any] | None = None, host_key: str | None = None
) -> Preview:
    """Say what ``provision`` would do. Looks at the host, changes nothing."""
    machine = _changed(tools.store.get(name), spec_changes or {}, host_key)
    session = Session(tools, tools.load_driver(machine.driver)(), recorded=False)
    try:
        machine = session.perform((Reach(), Survey()), machine)
        return preview_of("provision", machine, session)
    finally:
        session.disconnect()


def upgrade(name: str, tools: Tools, *, version: str | None = None) -> Machine:
    """Upgrade the engine to ``version``, or to the newest its source offers; return the record.

    A downgrade is refused with ``CheckFailed``.
    """
    driver = tools.load_driver(tools.store.get(name).driver)()
    with working(name, f"upgrade {name}", tools, driver) as session:
        machine = _upgradable(tools.store.get(name))
        with journalled(session, machine, "upgrade"):
            return session.perform((Reach(), Upgrade(version), Verify(), Complete()), machine)


def preview_upgrade(name: str, tools: Tools, *, version: str | None = None) -> Preview:
    """Say what ``upgrade`` would do. Looks at the host, changes nothing."""
    machine = _upgradable(tools.store.get(name))
    session = Session(tools, tools.load_driver(machine.driver)(), recorded=False)
    try:
        machine = session.perform((Reach(),), machine)
        look(machine, session)
        assert session.facts is not None
        plan = plan_upgrade(replace(machine.engine, version=version), session.facts)
        return Preview("upgrade", machine, plan.changes, plan.announcements)
    finally:
        session.disconnect()


class Upgrade:
    """Put another version of the engine's packages on the host."""

    title = "upgrading the engine"

    def __init__(self, version: str | None) -> None:
        self._version = version

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Look, plan, upload and run; remember a version that was asked for."""
        spec = replace(machine.engine, version=self._version)
        run_bundle(machine, session, self._bundle(machine, session))
        return machine.with_(engine=spec) if self._version else machine

    def _bundle(self, machine: Machine, session: Session) -> Bundle:
        look(machine, session)
        assert session.facts is not None
        plan = plan_upgrade(replace(machine.engine, version=self._version), session.facts)
        for announcement in plan.announcements:
            session.tools.reporter.notice(machine.name, announcement)
        return upgrade_bundle(plan)


def _provision_steps() -> Sequence[Step]:
    return (Reach(), Survey(), Certify(), SetUpEngine(), Verify(), Complete())


def _changed(machine: Machine, spec_changes: Mapping[str, Any], host_key: str | None) -> Machine:
    ssh = _provisionable(machine)
    return machine.with_(
        engine=replace(machine.engine, **spec_changes),
        ssh=replace(ssh, host_key=host_key) if host_key else ssh,
    )


def _provisionable(machine: Machine) -> Any:
    if machine.ssh is None:
        raise NotSupported(
            f"machine {machine.name} (driver {machine.driver}) has no host that pymachine could set up",
            hint="its engine is somebody else's: only its address is on record",
        )
    return machine.ssh


def _upgradable(machine: Machine) -> Machine:
    _provisionable(machine)
    if machine.phase is not Phase.READY:
        raise CheckFailed(
            f"machine {machine.name} is not ready ({machine.phase})",
            hint="give its create command again first",
        )
    return machine
