"""Looking at many machines at once, all of them under one deadline."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pymachine.engine.client import ENGINE_SHARE
from pymachine.errors import EngineError, PymachineError
from pymachine.events import looking
from pymachine.model import Machine, Phase, State
from pymachine.steps.status import Inspections
from pymachine.store.client_files import CLIENT_FILES, materialised

if TYPE_CHECKING:
    from pathlib import Path

    from pymachine.driver import Status
    from pymachine.steps.services import Services

# A probe waits, it does not compute: as wide as there are machines, within reason.
WIDTH = 256


@dataclass(frozen=True, slots=True)
class Look:
    """How a machine was found. ``engine`` is the version that answered, ``reason`` why nothing did.

    ``seconds`` is how long the machine took to answer; ``moved`` says that its driver sees it at another address.
    """

    state: State
    engine: str | None = None
    reason: str = ""
    seconds: float | None = None
    moved: bool = False


def look_at(machines: Sequence[Machine], tools: Services, timeout: float) -> dict[str, Look]:
    """Look at all machines and return what was found within ``timeout`` seconds, by name; late ones as ``TIMEOUT``.

    Returns in time whatever hangs: a probe that does not come back is left as it is.
    """
    names = [machine.name for machine in machines]
    watch = _Watch(tools, Inspections(machines, tools), time.monotonic() + timeout)
    for machine in machines:
        watch.waiting.put(machine)
    for _ in range(min(WIDTH, len(machines))):
        threading.Thread(target=watch.work, daemon=True).start()
    with looking(tools.reporter if len(machines) > 1 else None, "looking at machines", names) as seen:
        found = watch.collect(len(machines), seen)
    late = Look(State.TIMEOUT, reason=f"no answer within {timeout:g} s")
    return {machine.name: found.get(machine.name, late) for machine in machines}


class _Watch:
    """The probes of one list: machines to look at in, looks out."""

    def __init__(self, tools: Services, inspections: Inspections, end: float) -> None:
        self.waiting: queue.SimpleQueue[Machine] = queue.SimpleQueue()
        self._looks: queue.SimpleQueue[tuple[str, Look]] = queue.SimpleQueue()
        self._tools = tools
        self._inspections = inspections
        self._end = end

    def work(self) -> None:
        """Look at one machine after the other, as long as there is time."""
        while self._left() > 0:
            try:
                machine = self.waiting.get_nowait()
            except queue.Empty:
                return
            self._looks.put((machine.name, self._look(machine)))

    def collect(self, count: int, seen: Callable[[str], None]) -> dict[str, Look]:
        """Wait for that many looks, or for the end; tell each that comes."""
        found: dict[str, Look] = {}
        while len(found) < count:
            try:
                name, look = self._looks.get(timeout=max(self._left(), 0.0))
            except queue.Empty:
                break
            found[name] = look
            seen(name)
        return found

    def _look(self, machine: Machine) -> Look:
        try:
            return _Probe(machine, self._tools, self._inspections, self._end).look()
        except PymachineError as error:
            return Look(State.ERROR, reason=error.message)
        except Exception as error:  # noqa: BLE001 - a driver's bug, or ours, costs its machine's row and no other
            bug = f"{type(error).__name__}: {error}"
            return Look(State.ERROR, reason=f"a bug in driver {machine.driver} or in pymachine: {bug}")

    def _left(self) -> float:
        return self._end - time.monotonic()


@dataclass(frozen=True, slots=True)
class _Probe:
    """One machine, looked at: its engine is asked, and where that does not answer, its driver why not."""

    machine: Machine
    tools: Services
    inspections: Inspections
    end: float

    def look(self) -> Look:
        """Look, until about ``end``. Raises ``PymachineError`` where there is nothing to ask."""
        if self.machine.phase is not Phase.READY or self.machine.endpoint is None:
            return self._by_driver()
        deadline = max((self.end - time.monotonic()) * ENGINE_SHARE, 0.01)
        folder = _client_folder(self.machine, self.tools)
        try:
            answer = self.tools.ask_engine(self.machine.endpoint, folder, deadline=deadline)
        except PymachineError as error:
            return self._explained(error)
        return Look(State.RUNNING, engine=answer.version, seconds=answer.seconds)

    def _explained(self, error: PymachineError) -> Look:
        """Tell a host that is down from an engine that is, by what the driver sees."""
        look = self._by_driver()
        if isinstance(error, EngineError) and not look.moved:
            return replace(look, state=State.RUNNING, reason=error.message)
        return replace(look, reason=look.reason or error.message)

    def _by_driver(self) -> Look:
        if self.machine.handle is None:
            return Look(State.MISSING)
        began = time.monotonic()
        status = self.inspections.status(self.machine, self.end)
        seconds = time.monotonic() - began
        address = self._moved_to(status)
        if address:
            reason = f"it moved to {address}: `pymachine start {self.machine.name}` updates its address"
            return Look(status.state, reason=reason, seconds=seconds, moved=True)
        return Look(status.state, reason=status.detail, seconds=seconds)

    def _moved_to(self, status: Status) -> str:
        """Return where the driver sees a machine that is not where it was left; empty for any other."""
        if status.state is not State.RUNNING or self.machine.phase is not Phase.READY:
            return ""
        from pymachine.driver import TracksAddress

        new = [address for address in status.addresses if address not in self.machine.addresses]
        return new[0] if new and isinstance(self.tools.driver_of(self.machine), TracksAddress) else ""


def _client_folder(machine: Machine, tools: Services) -> Path | None:
    """The folder of the client's files, restored where they are gone; None for an engine without any."""
    folder = tools.store.client_folder(machine.name)
    if all(os.path.exists(f"{folder}/{file}") for file in CLIENT_FILES):  # noqa: PTH110 - a path each costs more
        return folder
    return materialised(tools.store, machine.name)
