"""Asks drivers for the state of machines: one call for all machines of a driver that supports it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pymachine.clock import Deadline
from pymachine.errors import StoreError
from pymachine.model import Machine, State
from pymachine.steps import credentials

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pymachine.driver import Driver, InspectsTogether, Status
    from pymachine.steps.services import Services

LEAST = 0.01  # seconds; a deadline of nothing is none


class Inspections:
    """The states of the machines of one list. Drivers are loaded and asked only when needed."""

    def __init__(self, machines: Sequence[Machine], tools: Services) -> None:
        self._machines = [machine for machine in machines if machine.handle is not None]
        self._tools = tools
        self._together: dict[type[Driver], _Together] = {}
        self._lock = threading.Lock()

    def status(self, machine: Machine, limit: Deadline) -> Status:
        """Return how the machine is, within ``limit``. Raises ``PymachineError``."""
        from pymachine.driver import InspectsTogether

        assert machine.handle is not None
        kind = self._tools.load_driver(machine.driver)
        driver = kind()
        credentials.give(driver, machine, self._tools.store)
        if not isinstance(driver, InspectsTogether):
            return self._tools.driver_of(machine).inspect(machine.handle, deadline=max(limit.left, LEAST))
        with self._lock:
            if kind not in self._together:
                self._together[kind] = _Together(driver, self._of(machine.driver, driver))
        return self._together[kind].status(machine.name, limit)

    def _of(self, driver: str, asked: Driver) -> list[Machine]:
        """Return the machines of this driver under any of its names, adopted ones too.

        ``asked`` gets the credentials that they have of their own.
        """
        names = {machine.driver for machine in self._machines}
        ours = {name for name in names if self._tools.same_driver(name, driver)}
        machines = [machine for machine in self._machines if machine.driver in ours]
        for machine in machines:
            with suppress(StoreError):  # raised by its own ``status``
                credentials.give(asked, machine, self._tools.store)
        return machines


class _Together:
    """The one call for several machines: the first caller makes it, all others wait for it."""

    def __init__(self, driver: InspectsTogether, machines: Sequence[Machine]) -> None:
        self._driver = driver
        self._machines = machines
        from concurrent.futures import Future

        self._found: Future[dict[str, Status]] = Future()
        self._turn = threading.Lock()

    def status(self, name: str, limit: Deadline) -> Status:
        """Return the state of one machine, or raise that there was no answer in time."""
        if self._turn.acquire(blocking=False):  # never released: there is one call
            self._ask(limit)
        try:
            return self._found.result(timeout=max(limit.left, LEAST))[name]
        except TimeoutError:
            from pymachine.driver import Status

            return Status(State.TIMEOUT, detail="its driver did not answer in time")

    def _ask(self, limit: Deadline) -> None:
        handles = [machine.handle for machine in self._machines if machine.handle is not None]
        try:
            statuses = self._driver.inspect_all(handles, deadline=max(limit.left, LEAST))
            names = [machine.name for machine in self._machines]
            self._found.set_result(dict(zip(names, statuses, strict=True)))
        except Exception as error:  # noqa: BLE001 - raised in every thread that waits
            self._found.set_exception(error)
