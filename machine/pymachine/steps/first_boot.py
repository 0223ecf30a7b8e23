"""The steps for a host that is known before it boots: certificates first, the set-up carried to its first boot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pymachine.driver import CarriedFile, FirstBoot, Handle, Login, PlannedInstance, PlansBeforeBoot
from pymachine.engine.bundle import NEVER_RUN, STAGING, Bundle, first_boot_watch
from pymachine.engine.host_facts import EngineFacts, HostFacts
from pymachine.engine.progress import ProgressReader, raise_for
from pymachine.engine.setup import SetupPlan, plan_setup
from pymachine.errors import EngineError, TlsError, Unreachable
from pymachine.model import Endpoint, Machine, Phase
from pymachine.steps.allocate import HandleRecorder
from pymachine.steps.certificates import Certify
from pymachine.steps.engine import CARRIED, SETUP_DEADLINE, SetUpEngine, bundle_for
from pymachine.steps.login import HOST_KEY, login_of, new_keys, with_login
from pymachine.steps.power import await_engine
from pymachine.steps.reach import Reach
from pymachine.steps.request import request_at_work
from pymachine.steps.session import Session, advanced
from pymachine.steps.survey import Survey
from pymachine.store.client_files import LOGIN_KEY
from pymachine.templates import sh

SOON = 90.0  # seconds from SSH to the engine's answer; longer ones are worth a look at the host
PAUSE = 0.3


class Foresee:
    """Settle with the driver where the host will be, and make the keys that will open it.

    ``source`` is what the host will be a copy of.
    """

    title = "preparing"

    def __init__(self, options: Any, source: Handle | None = None) -> None:
        self.login: Login | None = None
        self.planned: PlannedInstance | None = None
        self._options = options
        self._source = source

    def needs(self, machine: Machine) -> bool:
        """Every machine: what is settled already stays."""
        return True

    def run(self, machine: Machine, session: Session) -> Machine:
        """Keep each remembered handle, and both keys before anything is opened by them."""
        machine = session.save(machine, new_keys(session.secrets(machine), LOGIN_KEY, HOST_KEY))
        self.login = login_of(session.secrets(machine))
        memory = HandleRecorder(machine, session)
        assert isinstance(session.driver, PlansBeforeBoot)
        request = request_at_work(machine, self._options, session, self.title)
        request = replace(request, login=self.login, source=self._source)
        self.planned = session.driver.foresee(request, memory.remember)
        return with_login(_foreseen(memory.machine, self.planned), self.login)


class Carry:
    """Plan the set-up for the host as it will be, so that it can travel there with the first boot."""

    title = "planning the set-up"

    def __init__(self, foreseen: Foresee) -> None:
        self.plan: SetupPlan | None = None
        self.first_boot: FirstBoot | None = None
        self._foreseen = foreseen

    def needs(self, machine: Machine) -> bool:
        """Machines whose address is known; without it there is no certificate that could travel."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Issue certificates and pack them with the set-up; leave to SSH what only the host itself can tell."""
        machine = Certify().run(machine, session)
        planned = self._foreseen.planned
        assert planned is not None, "it was settled where the host will be"
        if _plannable(machine, planned):
            self.plan = plan_setup(machine, _assumed(machine, planned), own_host=True)
            for announcement in self.plan.announcements:
                session.tools.reporter.notice(machine.name, announcement)
            bundle = bundle_for(machine, self.plan, session, wait_for_cloud_init=False)
            self.first_boot = _carried(bundle, early=bool(planned.engine))
            machine = _noted(machine, bundle.folder)
        return machine


class SetUp:
    """See the set-up that the host runs at its first boot to its end, or do it over SSH."""

    title = "setting up the engine"

    def __init__(self, carried: Carry) -> None:
        self._carried = carried
        self._survey = Survey()

    @property
    def plan(self) -> SetupPlan | None:
        """The set-up as it was planned last."""
        return self._survey.plan or self._carried.plan

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Wait for the host's own; where there was none, or it failed, look at the host and set it up from here.

        An engine that an earlier create booted with another set-up would answer as well: that is not what is awaited.
        """
        first_boot = self._carried.first_boot if machine.extra.get(CARRIED) else None
        if first_boot and first_boot.early and _answers(machine, session):
            return advanced(machine, Phase.ENGINE)
        machine = Reach().run(machine, session)
        if first_boot and _done_at_first_boot(machine, self._carried, session):
            return advanced(machine, Phase.ENGINE)
        machine = self._survey.run(machine, session)
        machine = Certify().run(machine, session)
        return SetUpEngine(self._survey).run(machine, session)


def _foreseen(machine: Machine, prospect: PlannedInstance) -> Machine:
    addresses = prospect.addresses or machine.addresses
    reported = prospect.addresses or machine.reported_addresses
    machine = machine.with_(handle=prospect.handle, addresses=addresses, reported_addresses=reported)
    if prospect.ssh is None:
        return machine
    endpoint = prospect.endpoint or Endpoint(prospect.ssh.host, machine.engine.port)
    return machine.with_(ssh=prospect.ssh, endpoint=endpoint)


def _plannable(machine: Machine, prospect: PlannedInstance) -> bool:
    """``auto`` asks the host which packages it can reach; all else can be planned from what the image tells."""
    return bool(prospect.os_release) and (bool(prospect.engine) or machine.engine.install != "auto")


def _assumed(machine: Machine, prospect: PlannedInstance) -> HostFacts:
    assert prospect.ssh is not None
    user = prospect.ssh.user or "root"
    engine = EngineFacts(unit="docker.service", version=prospect.engine) if prospect.engine else None
    return HostFacts.assumed(prospect.os_release, arch=prospect.arch, hostname=machine.name, user=user, engine=engine)


def _noted(machine: Machine, folder: str) -> Machine:
    """Return the record that says what the host boots with, in time for its first boot."""
    before = machine.extra.get(CARRIED, folder)
    return machine.with_(extra={**machine.extra, CARRIED: folder if before == folder else ""})


def _carried(bundle: Bundle, *, early: bool) -> FirstBoot:
    files = tuple(CarriedFile(f"{bundle.folder}/{file.path}", file.content, file.mode) for file in bundle.files)
    mark = f"echo {sh(bundle.folder)} >{STAGING}-first-boot.id"
    # Not followed: nobody reads what it prints there, and an emulated host has no time to spare.
    return FirstBoot(files, f"{mark} && exec sh {sh(f'{bundle.folder}/run.sh')} work", early=early)


def _answers(machine: Machine, session: Session) -> bool:
    """Whether the engine comes up soon with our certificate: then its set-up is complete, and no login is needed.

    A login costs an emulated host several seconds, right when the engine starts.
    """
    try:
        await_engine(machine, session.tools, patience=SOON, pause=PAUSE)
    except (TlsError, Unreachable, EngineError):
        return False
    return True


def _done_at_first_boot(machine: Machine, carried: Carry, session: Session) -> bool:
    """Follow the set-up on the host; whether it came to a good end. What went wrong is told, since SSH goes on."""
    assert carried.plan is not None, "what was carried was planned"
    folder = bundle_for(machine, carried.plan, session, wait_for_cloud_init=False).folder
    reader = ProgressReader(session.tools.reporter, machine.name, SetUp.title)
    result = session.transport(machine).run(
        first_boot_watch(folder), root=True, deadline=SETUP_DEADLINE, on_line=reader.line
    )
    if result.exit_code == NEVER_RUN:
        return False
    try:
        raise_for(result, reader)
    except EngineError as error:
        session.tools.reporter.notice(machine.name, f"the set-up at first boot failed: {error.message}")
        return False
    return True
