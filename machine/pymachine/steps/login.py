"""The keys that a machine is logged in to with: made here, before there is a host that knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pymachine.driver import AuthorisesKey, Driver, Login
from pymachine.model import Machine, Phase
from pymachine.steps.session import Session
from pymachine.store.client_files import LOGIN_KEY
from pymachine.transport.key_pair import new_private_key, public_line

HOST_KEY = "ssh_host_ed25519_key"


class MakeLogin:
    """Make the key that the driver will have the host let in; it is on record before the host is."""

    title = "making a key to log in with"

    def __init__(self, driver: Driver) -> None:
        self.login: Login | None = None
        self._wanted = isinstance(driver, AuthorisesKey) and driver.authorises_key

    def needs(self, machine: Machine) -> bool:
        """Every machine that is not ready, of a driver that has its new hosts let in a key of ours."""
        return self._wanted and machine.phase is not Phase.READY

    def run(self, machine: Machine, session: Session) -> Machine:
        """Keep one that an earlier try made: a host may know it already. The host makes its own host key."""
        machine = session.save(machine, new_keys(session.secrets(machine), LOGIN_KEY))
        self.login = Login(public_line(session.secrets(machine)[LOGIN_KEY]), "", b"")
        return machine


def new_keys(known: Mapping[str, bytes], *names: str) -> dict[str, bytes]:
    """Return a private key for each name that has none yet."""
    return {name: new_private_key() for name in names if name not in known}


def login_of(secrets: Mapping[str, bytes]) -> Login:
    """Return what lets us in to a host that is given its host key too, from the machine's own keys."""
    host = secrets[HOST_KEY]
    return Login(public_line(secrets[LOGIN_KEY]), public_line(host), host)


def with_login(machine: Machine, login: Login | None) -> Machine:
    """Return the record with the store's own key, and the host key that the host was given or is known to have."""
    if machine.ssh is None or login is None:
        return machine
    host_key = login.host_public or machine.ssh.host_key
    return machine.with_(ssh=replace(machine.ssh, key_path=LOGIN_KEY, host_key=host_key))
