"""The step that has the driver make the host or find it, and what is recorded of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from pymachine.driver import Driver, FirstBoot, Handle, Instance, Locates, Login, Request
from pymachine.errors import CheckFailed
from pymachine.model import Machine, Phase, SshAddress
from pymachine.steps.login import with_login
from pymachine.steps.request import request_at_work, request_for
from pymachine.steps.session import Session, advanced


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
        """Every machine that is not ready: drivers continue with what they remembered."""
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


def _with_pin(machine: Machine, ssh: SshAddress | None) -> SshAddress | None:
    """Keep the pinned key of the record when the driver does not name one itself."""
    if ssh is None or ssh.host_key or machine.ssh is None or machine.ssh.host != ssh.host:
        return ssh
    return replace(ssh, host_key=machine.ssh.host_key)
