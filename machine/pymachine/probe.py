"""Looking at many machines at once, all of them under one deadline."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pymachine.errors import EngineError, PymachineError
from pymachine.model import Machine, Phase, State
from pymachine.steps.tools import Tools
from pymachine.store.clientfiles import CLIENT_FILES, materialised

# A probe waits, it does not compute: as wide as there are machines, within reason.
WIDTH = 256
# The engine gets this share of the time; with the rest the driver is asked why it did not answer.
ENGINE_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Look:
    """How a machine was found. ``engine`` is the version that answered, ``reason`` why nothing did.

    ``seconds`` is how long the machine took to answer.
    """

    state: State
    engine: str | None = None
    reason: str = ""
    seconds: float | None = None


def look_at(machines: Sequence[Machine], tools: Tools, timeout: float) -> dict[str, Look]:
    """Look at all machines and return what was found within ``timeout`` seconds, by name; late ones as ``TIMEOUT``.

    Returns in time whatever hangs: a probe that does not come back is left to itself.
    """
    watch = _Watch(tools, time.monotonic() + timeout)
    for machine in machines:
        watch.waiting.put(machine)
    for _ in range(min(WIDTH, len(machines))):
        threading.Thread(target=watch.work, daemon=True).start()
    found = watch.collect(len(machines))
    late = Look(State.TIMEOUT, reason=f"no answer within {timeout:g} s")
    return {machine.name: found.get(machine.name, late) for machine in machines}


class _Watch:
    """The probes of one list: machines to look at in, looks out."""

    def __init__(self, tools: Tools, end: float) -> None:
        self.waiting: queue.SimpleQueue[Machine] = queue.SimpleQueue()
        self._looks: queue.SimpleQueue[tuple[str, Look | Exception]] = queue.SimpleQueue()
        self._tools = tools
        self._end = end

    def work(self) -> None:
        """Look at one machine after the other, as long as there is time."""
        while self._left() > 0:
            try:
                machine = self.waiting.get_nowait()
            except queue.Empty:
                return
            self._looks.put((machine.name, self._look(machine)))

    def collect(self, count: int) -> dict[str, Look]:
        """Wait for that many looks, or for the end."""
        found: dict[str, Look] = {}
        while len(found) < count:
            try:
                name, look = self._looks.get(timeout=max(self._left(), 0.0))
            except queue.Empty:
                break
            if isinstance(look, Exception):
                raise look
            found[name] = look
        return found

    def _look(self, machine: Machine) -> Look | Exception:
        try:
            return look_once(machine, self._tools, self._left())
        except PymachineError as error:
            return Look(State.ERROR, reason=error.message)
        except Exception as error:  # noqa: BLE001 - carried to the thread that waits
            return error

    def _left(self) -> float:
        return self._end - time.monotonic()


def look_once(machine: Machine, tools: Tools, timeout: float) -> Look:
    """Look at one machine: ask its engine, and where that does not answer, its driver why not.

    Takes at most about ``timeout`` seconds. Raises ``PymachineError`` where there is nothing to ask.
    """
    end = time.monotonic() + timeout
    if machine.phase is not Phase.READY or machine.endpoint is None:
        return _by_driver(machine, tools, end)
    deadline = max(timeout * ENGINE_SHARE, 0.01)
    try:
        answer = tools.ask_engine(machine.endpoint, _client_folder(machine, tools), deadline=deadline)
    except PymachineError as error:
        return _explained(machine, tools, end, error)
    return Look(State.RUNNING, engine=answer.version, seconds=answer.seconds)


def _explained(machine: Machine, tools: Tools, end: float, error: PymachineError) -> Look:
    """Tell a host that is down from an engine that is, by what the driver sees."""
    look = _by_driver(machine, tools, end)
    if isinstance(error, EngineError):
        return replace(look, state=State.RUNNING, reason=error.message)
    return replace(look, reason=look.reason or error.message)


def _by_driver(machine: Machine, tools: Tools, end: float) -> Look:
    if machine.handle is None:
        return Look(State.MISSING)
    driver = tools.driver_of(machine)
    began = time.monotonic()
    status = driver.inspect(machine.handle, deadline=max(end - began, 0.01))
    return Look(status.state, reason=status.detail, seconds=time.monotonic() - began)


def _client_folder(machine: Machine, tools: Tools) -> Path | None:
    """The folder of the client's files, restored where they are gone; None for an engine without any."""
    folder = tools.store.client_folder(machine.name)
    if all((folder / file).exists() for file in CLIENT_FILES):
        return folder
    return materialised(tools.store, machine.name)
