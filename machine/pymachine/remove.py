"""``pymachine rm``: remove pymachine's set-up from the host, what the driver made, and the record."""

from __future__ import annotations

from dataclasses import dataclass

from pymachine.driver import Driver
from pymachine.engine.effects import Aspect, Change, Effect
from pymachine.engine.removal import RemovalPlan, plan_removal, removal_bundle
from pymachine.engine.trust import TrustPlan
from pymachine.errors import CheckFailed, NoSuchMachine, PymachineError, StepFailed, StoreError, UsageFault
from pymachine.model import Machine, Phase, State
from pymachine.steps.address import located_if_told, state_of
from pymachine.steps.engine import run_bundle
from pymachine.steps.journal import journalled
from pymachine.steps.preview import Preview
from pymachine.steps.services import Services
from pymachine.steps.session import Session, Step, working
from pymachine.steps.survey import collect_facts
from pymachine.steps.trust import WithdrawAuthority, is_attached, plan_withdrawal


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed, and what had to be left behind (with ``force`` only)."""

    name: str
    left_behind: tuple[str, ...] = ()


def remove(name: str, tools: Services, *, force: bool = False, purge: bool = False) -> Removal:
    """Remove a machine in any state; it is not an error if a part of it is already gone.

    ``purge`` also removes the engine from a host on which pymachine installed it. ``force`` removes the record even
    if host or driver cannot be reached, and reports what stays behind. Raises ``NoSuchMachine``, ``StepFailed``.
    """
    try:
        machine = tools.store.get(name)
    except NoSuchMachine:
        raise
    except StoreError:
        if not force:
            raise
        tools.store.remove(name)
        return Removal(name, ("the record could not be read: its host, if any, was not changed",))
    if not force:
        _refuse_member(machine)
    return _remove(machine, tools, force=force, purge=purge)


def _refuse_member(machine: Machine) -> None:
    """Refuse a Swarm node: it would stay in the node list, and a manager would count for the majority forever."""
    if machine.swarm is not None and machine.phase is Phase.READY:
        raise CheckFailed(
            f"machine {machine.name} is a {machine.swarm.role} of a Swarm",
            hint=f"`pymachine swarm leave {machine.name}` leaves the Swarm; `pymachine rm -f` removes it anyway",
        )


def preview_remove(name: str, tools: Services, *, force: bool = False, purge: bool = False) -> Preview:
    """Return what ``remove`` would do. Surveys the host if there is one, changes nothing.

    Raises ``CheckFailed`` for a Swarm node without ``force``, as ``remove`` does.
    """
    machine = tools.store.get(name)
    if not force:
        _refuse_member(machine)
    driver = tools.driver_of(machine)
    changes = [
        Change(
            "forget the machine", "its record, certificates and client files are deleted from the store", Aspect.HOST
        )
    ]
    if not driver.preexisting:
        why = f"driver {machine.driver} made it"
        changes.insert(0, Change("destroy the host", why, Aspect.HOST, (Effect.DELETE_HOST,)))
        return Preview("rm", machine, tuple(changes))
    session = Session(tools, driver, recorded=False)
    plan: RemovalPlan | TrustPlan | None = None
    try:
        if is_attached(machine, session):
            plan = plan_withdrawal(machine, session)
        elif not _is_gone(machine, session):
            plan = _removal_plan(located_if_told(machine, session), session, purge=purge)
    finally:
        session.disconnect()
    return (
        Preview("rm", machine, (*plan.changes, *changes), plan.announcements)
        if plan
        else Preview("rm", machine, tuple(changes))
    )


class CleanHost:
    """Remove the set-up from a host that existed before and stays."""

    title = "removing the set-up from the host"

    def __init__(self, *, purge: bool) -> None:
        self._purge = purge

    def needs(self, machine: Machine) -> bool:
        """Every host that may have a part of the set-up."""
        return _touched(machine)

    def run(self, machine: Machine, session: Session) -> Machine:
        """Survey, plan, upload and run; the machine counts as half-removed from then on."""
        machine = located_if_told(machine, session)
        plan = _removal_plan(machine, session, purge=self._purge)
        if plan is not None:
            for announcement in plan.announcements:
                session.tools.reporter.notice(machine.name, announcement)
            machine = session.save(machine.with_(phase=Phase.REMOVING))
            run_bundle(machine, session, removal_bundle(plan), self.title)
        return machine


class Destroy:
    """Have the driver remove what it made, or release a host that existed before."""

    def __init__(self, driver: Driver) -> None:
        self.title = "releasing the host" if driver.preexisting else "removing the host"

    def needs(self, machine: Machine) -> bool:
        """Every machine whose driver remembered a handle."""
        return machine.handle is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Destroy it; it is not an error if it is already gone."""
        removing = session.save(machine.with_(phase=Phase.REMOVING))
        session.touched = True
        assert removing.handle is not None
        session.driver.destroy(removing.handle)
        return removing


def _remove(machine: Machine, tools: Services, *, force: bool, purge: bool) -> Removal:
    left: list[str] = []
    try:
        driver = tools.driver_of(machine)
    except PymachineError as error:
        if not force:
            raise
        tools.store.remove(machine.name)
        return Removal(machine.name, (f"what driver {machine.driver} made: {error.message}",))
    with working(machine.name, f"rm {machine.name}", tools, driver) as session:
        machine = tools.store.get(machine.name)
        with journalled(session, machine, "rm"):
            for step in _steps(machine, session, purge=purge):
                machine = _perform(step, machine, session, left, force=force)
        tools.store.remove(machine.name)
    return Removal(machine.name, tuple(left))


def _steps(machine: Machine, session: Session, *, purge: bool) -> tuple[Step, ...]:
    driver = session.driver
    if not driver.preexisting or _is_gone(machine, session):
        return (Destroy(driver),)
    return WithdrawAuthority(attached=is_attached(machine, session)), CleanHost(purge=purge), Destroy(driver)


def _is_gone(machine: Machine, session: Session) -> bool:
    """Whether an adopted instance no longer exists, so that nothing can be removed from it."""
    return bool(machine.adopted) and state_of(machine, session) is State.MISSING


def _perform(step: Step, machine: Machine, session: Session, left: list[str], *, force: bool) -> Machine:
    try:
        return session.perform([step], machine)
    except (StepFailed, CheckFailed, UsageFault) as error:  # the last two: a damaged daemon.json, a lost key file
        if not force:
            raise _with_way_out(error, machine) from error
        left.append(error.message)
    except Exception as error:
        # A bug of a driver must not make a machine that nobody can forget; Ctrl-C and a lost lease end the command.
        if not force or isinstance(error, PymachineError):
            raise
        left.append(
            f"what a bug in driver {machine.driver} prevented from being removed: {type(error).__name__}: {error}"
        )
    return session.tools.store.get(machine.name)


def _with_way_out(error: PymachineError, machine: Machine) -> PymachineError:
    if not isinstance(error, StepFailed):
        return error
    way_out = f"`pymachine rm -f {machine.name}` removes the record and leaves the host unchanged"
    return StepFailed(error.step, error.cause, hint=way_out)


def _removal_plan(machine: Machine, session: Session, *, purge: bool) -> RemovalPlan | None:
    if not _touched(machine):
        return None
    return plan_removal(collect_facts(machine, session), purge=purge, owner=machine.id)


def _touched(machine: Machine) -> bool:
    """Whether a set-up may have begun: certificates are stored before anything is sent to a host.

    What is on the host of a guest belongs to another store.
    """
    return machine.ssh is not None and machine.certificates is not None and not machine.guest
