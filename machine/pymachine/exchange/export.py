"""Makes what an export has of a machine: certificates, and a login key if requested, for the receiver alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pymachine import tls
from pymachine.errors import CheckFailed, NotSupported, PymachineError
from pymachine.exchange.archive import ExportedLogin, ExportedMachine
from pymachine.exchange.login_key import LoginGrant, grant_login, take_back
from pymachine.model import Machine, Phase, SshAddress
from pymachine.steps.services import Services
from pymachine.store.client_files import LOGIN_KEY, located
from pymachine.transport import Transport
from pymachine.transport.ssh_config import resolve

CONNECT_DEADLINE = 30.0
DEFAULT_USER = "root"
JOURNAL = "export"


@dataclass
class MachineExport:
    """An export in the making. What was authorised on hosts is taken back if it is not completed."""

    tools: Services
    life: timedelta
    with_login_key: bool = False
    _grants: list[tuple[Machine, LoginGrant]] = field(default_factory=list)

    @contextmanager
    def machines(self, wanted: Sequence[Machine]) -> Iterator[list[ExportedMachine]]:
        """Yield what goes into the file; the export is complete when the block ends without an error.

        Raises ``CheckFailed`` and ``NotSupported`` before any host is changed, ``TransportError``.
        """
        for machine in wanted:
            check_exportable(machine, self.tools)
            if self.with_login_key:
                _login_of(machine, required=True)
        try:
            yield [self._exported(machine) for machine in wanted]
        except BaseException:
            self._take_back()
            raise

    def _exported(self, machine: Machine) -> ExportedMachine:
        files = client_files(machine, self.tools, self.life)
        login = _login_of(machine, required=self.with_login_key)
        payload = {"until": until(files), "login_key": self.with_login_key}
        operation = self.tools.store.begin(machine, JOURNAL, payload)
        try:
            if self.with_login_key:
                files[LOGIN_KEY] = self._granted(machine)
        except BaseException:
            self.tools.store.finish(operation, "failed", "the login key could not be authorised")
            raise
        self.tools.store.finish(operation, "done")
        assert machine.endpoint is not None
        return ExportedMachine(
            machine.name, machine.driver, machine.endpoint, login, machine.engine_version, machine.addresses,
            machine.labels, files,
        )  # fmt: skip

    def _granted(self, machine: Machine) -> bytes:
        day = datetime.fromtimestamp(self.tools.now(), UTC).strftime("%Y-%m-%d")
        with self._connected(machine) as host:
            grant = grant_login(host, f"pymachine-export-{machine.name}-{day}", self._connector(machine))
        self._grants.append((machine, grant))
        return grant.private

    def _take_back(self) -> None:
        for machine, grant in self._grants:
            try:
                with self._connected(machine) as host:
                    take_back(host, grant)
            except PymachineError as error:
                told = f"the login key was not taken back from ~/.ssh/authorized_keys: {error.message}"
                self.tools.reporter.notice(machine.name, told)

    def _connected(self, machine: Machine) -> Transport:
        address = located(self.tools.store, machine).ssh
        assert address is not None
        return self._connector(machine)(address)

    def _connector(self, machine: Machine) -> Callable[[SshAddress], Transport]:
        return lambda address: self.tools.log_in(machine.name, address, deadline=CONNECT_DEADLINE)


def check_exportable(machine: Machine, tools: Services) -> None:
    """Raise ``CheckFailed`` for a machine to which no access can be given."""
    if machine.phase is not Phase.READY or machine.endpoint is None:
        raise CheckFailed(f"machine {machine.name} is not ready ({machine.phase})")
    secrets = tools.store.secrets(machine.name)
    if "ca.pem" in secrets and "ca-key.pem" not in secrets:
        raise CheckFailed(
            f"the key of the authority of {machine.name} is not in this store, so it cannot issue certificates",
            hint="export it from the store that created the machine",
        )


def client_files(machine: Machine, tools: Services, life: timedelta) -> dict[str, bytes]:
    """Return a new client's files; none for an engine without certificates. Raises ``TlsError``."""
    secrets = tools.store.secrets(machine.name)
    if "ca.pem" not in secrets:
        return {}
    now = datetime.fromtimestamp(tools.now(), UTC)
    return dict(tls.issue_client(machine.name, secrets, now, life).files)


def until(files: dict[str, bytes]) -> str:
    """Return when the client's certificate ends, ISO 8601; empty if there is none."""
    return tls.summary(files).client_expires if "cert.pem" in files else ""


def _login_of(machine: Machine, *, required: bool) -> ExportedLogin | None:
    """Return how the receiver logs in; None for a host that only this computer can reach. Asks ssh, no host."""
    try:
        return _exported_login(machine)
    except NotSupported:
        if required:
            raise
        return None


def _exported_login(machine: Machine) -> ExportedLogin:
    address = machine.ssh
    if address is None:
        raise _no_login(machine, "it has no host to log in to")
    if address.host_key is None:
        raise _no_login(machine, "its host was never reached, so its key is unknown")
    found = resolve(address.host, port=address.port, user=address.user)
    if address.proxy or (found.proxy and address.jump is None):
        raise _no_login(machine, "its host is reached by a program of this computer")
    jump = found.jump if address.jump is None else address.jump
    return ExportedLogin(found.host, found.port, found.user or DEFAULT_USER, address.host_key, jump or None)


def _no_login(machine: Machine, why: str) -> NotSupported:
    return NotSupported(f"machine {machine.name} cannot get a login key: {why}", hint="leave --login-key out")
