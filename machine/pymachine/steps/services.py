"""What every verb needs from outside, in one value: the store, the network, the person, the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pymachine.clock import REAL, Clock
from pymachine.errors import NotSupported, PymachineError
from pymachine.steps import credentials
from pymachine.swarm_api import connect as connect_by_sdk

if TYPE_CHECKING:
    from pathlib import Path

    from pymachine.driver import Driver, Listener
    from pymachine.engine.client import EngineAnswer
    from pymachine.events import Asker, Reporter
    from pymachine.model import Endpoint, Machine, SshAddress
    from pymachine.store import Store
    from pymachine.swarm_api.protocol import ConnectCluster
    from pymachine.transport import Transport


class Connect(Protocol):
    """Opens the connection to a host; ``pymachine.transport.ssh.connect`` in earnest."""

    def __call__(
        self,
        address: SshAddress,
        *,
        asker: Asker,
        notice: Callable[[str], None],
        deadline: float,
        retry_for: float = 0.0,
    ) -> Transport:
        """Connect within ``deadline`` seconds; go on trying a host that boots for ``retry_for`` seconds."""


class AskEngine(Protocol):
    """Asks an engine for its version; ``pymachine.engine.client.ask`` in earnest."""

    def __call__(self, endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
        """Return the answer within ``deadline`` seconds: over TLS with the files in ``folder``, else without."""


@dataclass(frozen=True, slots=True)
class Services:
    """The outside world of a verb. ``now`` returns seconds since the epoch; what waits does so by ``clock``."""

    store: Store
    reporter: Reporter
    asker: Asker
    connect: Connect
    load_driver: Callable[[str], type[Driver]]
    ask_engine: AskEngine
    now: Callable[[], float]
    clock: Clock = REAL
    connect_cluster: ConnectCluster = connect_by_sdk

    def driver_of(self, machine: Machine) -> Driver:
        """Return the driver of a machine on record, with the credentials that the machine has of its own.

        Raises ``DriverMissing``, ``NotSupported``, ``StoreError``.
        """
        driver = self.driver(machine.driver, adopted=machine.adopted)
        credentials.give(driver, machine, self.store)
        return driver

    def driver(self, name: str, *, adopted: str = "") -> Driver:
        """Return a driver; for an instance that was there before, as it is towards what it adopts.

        Raises ``DriverMissing``, and ``NotSupported`` where it does not adopt.
        """
        driver = self.load_driver(name)()
        if not adopted:
            return driver
        from pymachine.driver import Adopts  # seam and powers of drivers cost as much as half of click

        if not isinstance(driver, Adopts):
            raise NotSupported(
                f"driver {name} cannot adopt {adopted}",
                hint="`pymachine create -d ssh` takes over any host that you can log in to over SSH",
            )
        return driver.adopting()

    def log_in(self, machine: str, address: SshAddress, *, deadline: float, retry_for: float = 0.0) -> Transport:
        """Return a connection to a machine's host, whose notices go to the reporter. Raises ``TransportError``."""
        return self.connect(
            address,
            asker=self.asker,
            notice=lambda text: self.reporter.notice(machine, text),
            deadline=deadline,
            retry_for=retry_for,
        )

    def same_driver(self, name: str, other: str) -> bool:
        """Whether two names are of one driver; a name whose driver is missing is only its own."""
        if name == other:
            return True
        try:
            return self.load_driver(name) is self.load_driver(other)
        except PymachineError:
            return False

    def listener(self, machine: str, step: str) -> Listener:
        """Return who hears a driver at work on a machine: the reporter, in this step."""
        from pymachine.driver import Listener

        return Listener(
            progress=lambda line: self.reporter.progressed(machine, step, line),
            notice=lambda fact: self.reporter.notice(machine, fact),
        )
