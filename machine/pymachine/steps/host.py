"""The steps that lead to a host that can be worked on: allocate, reach, survey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from pymachine.clock import growing
from pymachine.documents import from_document
from pymachine.driver import Driver, FirstBoot, Handle, Instance, Locates, Login, Request
from pymachine.engine.facts import FACTS_DEADLINE, HostFacts, facts_command, parse_facts
from pymachine.engine.progress import ProgressReader
from pymachine.engine.setup import SetupPlan, plan_setup
from pymachine.engine.survey import SILENCE, SurveyReader
from pymachine.errors import AuthFailed, CheckFailed, DeadlineExceeded, RemoteCommandFailed, StoreError
from pymachine.fleet.plan.renewals import renewals
from pymachine.model import Endpoint, Machine, Phase, SshAddress
from pymachine.steps.certificates import Certify
from pymachine.steps.login import with_login
from pymachine.steps.services import Services
from pymachine.steps.session import Session, advanced
from pymachine.store.client_files import LOGIN_KEY
from pymachine.store.homes import home_of
from pymachine.tls import check_clock
from pymachine.transport import Transport

BOOT_PATIENCE = 300.0  # a fresh server answers SSH within minutes or never
ADMISSION_PATIENCE = 120.0
FIRST_PAUSE, LAST_PAUSE = 2.0, 20.0


class HandleRecorder:
    """What a driver remembers while it works: each handle is in the record before the driver goes on."""

    def __init__(self, machine: Machine, session: Session) -> None:
        self.machine = machine
        self._session = session

    def remember(self, handle: Handle) -> None:
        """Save the record with this handle."""
        self.machine = self._session.save(self.machine.with_(handle=handle))


class MakesLogin(Protocol):
    """A step that makes the keys by which a host is logged in to; None until it did."""

    login: Login | None


class PacksFirstBoot(Protocol):
    """A step that packs what a host runs at its first boot; None where it packed nothing."""

    first_boot: FirstBoot | None


class Allocate:
    """Have the driver make the host, or find the one that is there.

    The host is given the keys and the first boot that earlier steps made; ``source`` is what it is a copy of.
    """

    title = "checking the host"

    def __init__(
        self,
        options: Any,
        *,
        keys: MakesLogin | None = None,
        carried: PacksFirstBoot | None = None,
        source: Handle | None = None,
    ) -> None:
        self._options = options
        self._keys = keys
        self._carried = carried
        self._source = source

    def needs(self, machine: Machine) -> bool:
        """Every machine that is not ready: drivers go on with what they remembered."""
        return machine.phase is not Phase.READY

    def run(self, machine: Machine, session: Session) -> Machine:
        """Create, saving each remembered handle at once."""
        login = self._keys.login if self._keys else None
        request = replace(
            request_at_work(machine, self._options, session, self.title),
            login=login,
            first_boot=self._carried.first_boot if self._carried else None,
            source=self._source,
        )
        _refuse_another_host(machine, request, session.driver)
        memory = HandleRecorder(machine, session)
        instance = session.driver.create(request, memory.remember)
        made = placed(memory.machine, instance)
        made = made if instance.own_key else with_login(made, login)
        return session.save(advanced(made, Phase.ALLOCATED), instance.certificates)


class Locate:
    """Find the host that ``Allocate`` would take, for a dry run."""

    title = "finding the host"

    def __init__(self, options: Any) -> None:
        self._options = options

    def needs(self, machine: Machine) -> bool:
        """Every machine."""
        return True

    def run(self, machine: Machine, session: Session) -> Machine:
        """Ask the driver, if it can tell without taking it."""
        if not isinstance(session.driver, Locates):
            return machine
        return placed(machine, session.driver.locate(request_for(machine, self._options, session.tools)))


class Reach:
    """Open the connection and pin the host's key."""

    title = "connecting over SSH"

    def __init__(self, patience: float | None = None) -> None:
        self._patience = patience

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Connect; a host that pymachine just made may take its time to boot, unless it is said how much."""
        usual = 0.0 if session.driver.preexisting else BOOT_PATIENCE
        patience = usual if self._patience is None else self._patience
        assert machine.ssh is not None
        may_boot = machine.ssh.key_path == LOGIN_KEY or bool(self._patience)
        seen = _admitted(machine, session, patience, ADMISSION_PATIENCE if may_boot else 0.0).address
        endpoint = machine.endpoint or Endpoint(seen.host, machine.engine.port)
        reached = machine.with_(ssh=replace(machine.ssh, host_key=seen.host_key), endpoint=endpoint)
        return advanced(reached, Phase.REACHABLE)


class Survey:
    """Look at the host in one command, and plan the set-up; refuse what cannot work before touching anything."""

    title = "surveying the host"

    def __init__(self, certify: Certify | None = None, *, moved: bool = False) -> None:
        self.plan: SetupPlan | None = None
        self._certify = certify
        self._moved = moved

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Collect facts, compare clocks, plan, and announce what the plan will do to what runs there.

        What ``certify`` will make anew travels with the set-up, and is planned with it. ``moved`` says that the
        engine's address is another one than before.
        """
        before = session.tools.now()
        facts = collect_facts(machine, session)
        check_clock(facts.clock, before, session.tools.now())
        machine = machine.with_(addresses=known_addresses(machine, facts, session.driver) or machine.addresses)
        self.plan = plan_setup(
            machine,
            facts,
            own_host=not session.driver.preexisting,
            former=session.former.engine if session.former else None,
            renewals=renewals(self._certify.due(machine, session)) if self._certify else (),
        )
        if self._moved and (told := _left_behind(machine, facts)):
            session.tools.reporter.notice(machine.name, told)
        for announcement in self.plan.announcements:
            session.tools.reporter.notice(machine.name, announcement)
        return machine


def _admitted(machine: Machine, session: Session, patience: float, admission: float) -> Transport:
    """Return the connection; a host that answers may turn us away for ``admission`` seconds more.

    While it boots, pam_nologin admits nobody but root, and a socket-activated sshd is there before cloud-init has put
    our key in its place. Later tries are rarer, for sshd shuts out whoever fails often (PerSourcePenalties).
    """
    try:
        return session.transport(machine, retry_for=patience)
    except AuthFailed as error:
        failure = error
    for passed in session.tools.clock.ticks(admission, growing(FIRST_PAUSE, 2.0, LAST_PAUSE)):
        if passed:
            try:
                return session.transport(machine, retry_for=patience)
            except AuthFailed as error:
                failure = error
    raise failure


def _left_behind(machine: Machine, facts: HostFacts) -> str:
    """Say what another address means for a node of a Swarm: the one it joined with is its own for life."""
    node = (facts.engine.info.get("Swarm") if facts.engine else None) or {}
    advertised = str(node.get("NodeAddr") or "")
    if not advertised or advertised in facts.addresses:
        return ""
    return (
        f"the other nodes of its Swarm know it by {advertised}, which it no longer has: let it leave and join again "
        f"(`pymachine swarm leave {machine.name}`, `pymachine swarm join`)"
    )


def known_addresses(machine: Machine, facts: HostFacts, driver: Driver) -> tuple[str, ...]:
    """Return where the host can be found: as it knows itself, and as the driver told of it.

    A cloud's public address and its names in the DNS are on no interface of the host. What was told of bare metal is
    what somebody typed: there the host knows better.
    """
    reported = machine.reported_addresses if machine.adopted or not driver.preexisting else ()
    return tuple(dict.fromkeys((*facts.addresses, *reported)))


def collect_facts(machine: Machine, session: Session) -> HostFacts:
    """Return the host's facts, found by one command. Raises ``RemoteCommandFailed``, ``EngineError``."""
    transport = session.transport(machine)
    # The facts wait for a set-up that still runs on the host, and say so.
    notes = ProgressReader(session.tools.reporter, machine.name, Survey.title)
    command = facts_command(machine.engine)
    reader = SurveyReader(notes, session.tools.now)
    try:
        result = transport.run(command, root=True, deadline=FACTS_DEADLINE, on_line=reader.line, silence=SILENCE)
    except DeadlineExceeded as error:
        raise reader.late() from error
    if result.exit_code:
        lines = tuple(result.error_text.strip().splitlines()[-5:])
        raise RemoteCommandFailed("look at the host", result.exit_code, lines)
    return parse_facts(result.text)


def placed(machine: Machine, instance: Instance) -> Machine:
    """Return the record with what the driver made known of its instance."""
    return machine.with_(
        handle=instance.handle,
        ssh=_with_pin(machine, instance.ssh),
        endpoint=instance.endpoint or machine.endpoint,
        addresses=instance.addresses or machine.addresses,
        reported_addresses=instance.addresses or machine.reported_addresses,
    )


def _refuse_another_host(machine: Machine, request: Request, driver: Driver) -> None:
    """A host that may carry a set-up already is not forgotten for another one. Raises ``CheckFailed``."""
    if not driver.preexisting or machine.ssh is None or machine.certificates is None:
        return
    wanted = driver.locate(request).ssh if isinstance(driver, Locates) else None
    if wanted is not None and wanted.host != machine.ssh.host:
        raise CheckFailed(
            f"machine {machine.name} is half-made on {machine.ssh.host}, but {wanted.host} is requested",
            hint=f"`pymachine rm {machine.name}` clears {machine.ssh.host}; then create it on the other one",
        )


def options_on_record(machine: Machine, kind: type) -> Any:
    """Return the driver's options that the machine was made with. Raises ``StoreError`` where they do not fit."""
    try:
        return from_document(kind, machine.options)
    except (TypeError, ValueError, KeyError) as error:
        raise StoreError(
            f"the options on record of {machine.name} do not match driver {machine.driver}: {error}",
            hint="it was made by another version of the driver; `pymachine create` makes a machine like it",
        ) from error


def request_for(machine: Machine, options: Any, tools: Services) -> Request:
    """Return what the driver is asked about, before anything is made for this record."""
    return Request(
        machine.name,
        machine.id,
        options,
        machine.engine.port,
        machine.handle,
        owner=tools.store.identity,
        home=home_of(tools.store.folder),
        adopted=machine.adopted,
    )


def request_at_work(machine: Machine, options: Any, session: Session, step: str) -> Request:
    """Return what the driver is asked to make for this record; its progress is told as that of ``step``."""
    listener = session.tools.listener(machine.name, step)
    request = request_for(machine, options, session.tools)
    return replace(request, progress=listener.progress, notice=listener.notice)


def _with_pin(machine: Machine, ssh: SshAddress | None) -> SshAddress | None:
    """Keep the pinned key of the record when the driver does not name one itself."""
    if ssh is None or ssh.host_key or machine.ssh is None or machine.ssh.host != ssh.host:
        return ssh
    return replace(ssh, host_key=machine.ssh.host_key)
