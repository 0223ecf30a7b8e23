"""The steps that turn a reached host into an engine that answers: set up, verify, complete."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from pymachine import tls
from pymachine.engine.bundle import Bundle, TlsFiles, setup_bundle
from pymachine.engine.client import EngineAnswer
from pymachine.engine.progress import ProgressReader, raise_for
from pymachine.engine.setup import SetupPlan
from pymachine.errors import EngineError, PymachineError, TransportError, Unreachable
from pymachine.model import Endpoint, Machine, Phase
from pymachine.steps import renewal
from pymachine.steps.session import Session, advanced
from pymachine.transport import Transport

SETUP_DEADLINE = 1800.0
ANSWER_DEADLINE = 20.0
CARRIED = (
    "carried"  # in the record: the set-up that a first boot brought about; empty where the host may have another
)


class PlansSetUp(Protocol):
    """A step that plans the set-up of the engine; None until it did."""

    @property
    def plan(self) -> SetupPlan | None:
        """The plan."""


class SetUpEngine:
    """Carry the set-up that ``planned`` found to the host and run it there."""

    title = "setting up the engine"

    def __init__(self, planned: PlansSetUp) -> None:
        self._planned = planned

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """One upload, one run. The host's script puts back what it changed when it fails."""
        assert self._planned.plan is not None, "the host was surveyed"
        run_bundle(machine, session, bundle_for(machine, self._planned.plan, session), self.title)
        session.in_place = True
        return advanced(machine, Phase.ENGINE)


class Verify:
    """See that the engine answers from here, over TLS, with the client's own certificate.

    An upgrade has ``planned`` no set-up: it leaves the configuration alone, and there is nothing to put back.
    """

    title = "asking the engine over TLS"

    def __init__(self, planned: PlansSetUp | None = None) -> None:
        self._planned = planned

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Ask; when nothing answers, tell a blocked port from a broken engine, and undo only the latter.

        An engine that answers with the certificates of a renewal has them: the former ones go.
        """
        assert machine.endpoint is not None
        try:
            answer = self._ask(machine, session, machine.endpoint)
        except PymachineError as error:
            self._explain(machine, session, error)
            raise
        return _renewed(machine, session).with_(engine_version=answer.version)

    def _ask(self, machine: Machine, session: Session, endpoint: Endpoint) -> EngineAnswer:
        with renewal.trial(session.tools.store, machine, session.secrets(machine)) as folder:
            return session.tools.ask_engine(endpoint, folder, deadline=ANSWER_DEADLINE)

    def _explain(self, machine: Machine, session: Session, error: PymachineError) -> None:
        transport = session.transport(machine)
        assert machine.endpoint is not None
        if isinstance(error, Unreachable) and _listens_at_home(transport, machine.endpoint):
            _renewed(machine, session)
            raise blocked(machine.name, machine.endpoint, error) from error
        plan = self._planned.plan if self._planned else None
        if plan is None:
            return
        if machine.extra.get(CARRIED):  # what the first boot did is undone from here on: the next try goes over SSH
            machine = session.save(machine.with_(extra={**machine.extra, CARRIED: ""}))
        run_rollback(transport, bundle_for(machine, plan, session))
        session.in_place = False
        session.save(machine)
        session.tools.reporter.notice(machine.name, "the host's previous engine configuration was restored")


class Complete:
    """Mark the machine as ready."""

    title = "completing"

    def needs(self, machine: Machine) -> bool:
        """Every machine: also clears the fault of an earlier try."""
        return True

    def run(self, machine: Machine, session: Session) -> Machine:
        """Write the client files and the last phase."""
        ready = session.save(advanced(machine, Phase.READY).with_(fault=None))
        if session.secrets(ready):
            session.tools.store.materialise(ready.name)
        return ready


def bundle_for(machine: Machine, plan: SetupPlan, session: Session, *, wait_for_cloud_init: bool = True) -> Bundle:
    """Return the files and commands that set this machine's engine up."""
    secrets = renewal.wanted(session.secrets(machine))
    files = TlsFiles(ca=secrets["ca.pem"], cert=secrets["server.pem"], key=secrets["server-key.pem"])
    if machine.certificates is not None:
        plan = replace(plan, manifest=replace(plan.manifest, server=tls.summary(secrets).server))
    return setup_bundle(plan, files, wait_for_cloud_init=wait_for_cloud_init)


def run_bundle(machine: Machine, session: Session, bundle: Bundle, step: str) -> ProgressReader:
    """Upload and run, passing progress on as the step's. Raises ``EngineError`` with the engine's own last words."""
    transport = session.transport(machine)
    reader = ProgressReader(session.tools.reporter, machine.name, step)
    session.touched = True
    transport.upload(bundle.files, bundle.folder)
    result = transport.run(bundle.run, root=True, deadline=SETUP_DEADLINE, on_line=reader.line)
    raise_for(result, reader)
    return reader


def run_rollback(transport: Transport, bundle: Bundle) -> None:
    """Have the host put back what the set-up replaced. Raises ``EngineError`` if it could not."""
    result = transport.run(bundle.rollback, root=True, deadline=SETUP_DEADLINE)
    if result.exit_code:
        raise EngineError(f"the previous configuration could not be restored: {result.error_text.strip()[-500:]}")


def blocked(name: str, endpoint: Endpoint, error: Unreachable) -> EngineError:
    """Return the error for an engine that runs, and to which no connection gets through from here."""
    return EngineError(
        f"the engine runs, but {endpoint.url} cannot be reached from here: {error.message}",
        hint=f"allow TCP port {endpoint.port} in the firewalls before {name}",
    )


def _renewed(machine: Machine, session: Session) -> Machine:
    """Return the record of a machine whose engine has the wanted certificates, saved with them."""
    return session.save(*renewal.completed(machine, session.secrets(machine)))


def _listens_at_home(transport: Transport, endpoint: Endpoint) -> bool:
    """Whether something accepts connections on the engine's port, seen from the host itself."""
    try:
        transport.tunnel("localhost", endpoint.port).close()
    except TransportError:
        return False
    return True
