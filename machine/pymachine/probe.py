"""Looking at many machines at once, all of them under one deadline."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pymachine.clock import Deadline
from pymachine.engine.client import ENGINE_SHARE
from pymachine.errors import EngineError, PymachineError
from pymachine.events import surveying
from pymachine.model import Machine, Phase, State
from pymachine.parallel import spread
from pymachine.steps.renewal import client_folder, is_begun
from pymachine.steps.status import Inspections
from pymachine.store.client_files import CLIENT_FILES

if TYPE_CHECKING:
    from pathlib import Path

    from pymachine.driver import Status
    from pymachine.steps.services import Services

# A probe waits, it does not compute: as wide as there are machines, within reason.
WIDTH = 256


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How a machine was found. ``engine`` is the version that answered, ``reason`` why nothing did.

    ``seconds`` is how long the machine took to answer; ``moved`` says that its driver sees it at another address.
    """

    state: State
    engine: str | None = None
    reason: str = ""
    seconds: float | None = None
    moved: bool = False


def probe_machines(machines: Sequence[Machine], tools: Services, timeout: float) -> dict[str, ProbeResult]:
    """Look at all machines and return what was found within ``timeout`` seconds, by name; late ones as ``TIMEOUT``.

    Returns in time whatever hangs: a probe that does not come back is left as it is.
    """
    limit, inspections = Deadline(timeout), Inspections(machines, tools)
    found: dict[str, ProbeResult] = {}
    names = [machine.name for machine in machines]
    with surveying(tools.reporter if len(machines) > 1 else None, "checking machines", names) as seen:
        probes = [_Probe(machine, tools, inspections, limit) for machine in machines]
        for probe, result in spread(probes, _result_of, WIDTH, limit):
            assert isinstance(result, ProbeResult), "a look does not fail"
            found[probe.machine.name] = result
            seen(probe.machine.name)
    late = ProbeResult(State.TIMEOUT, reason=f"no answer within {timeout:g} s")
    return {name: found.get(name, late) for name in names}


def _result_of(probe: _Probe) -> ProbeResult:
    try:
        return probe.result()
    except PymachineError as error:
        return ProbeResult(State.ERROR, reason=error.message)
    except Exception as error:  # noqa: BLE001 - a driver's bug, or ours, costs its machine's row and no other
        bug = f"{type(error).__name__}: {error}"
        return ProbeResult(State.ERROR, reason=f"a bug in driver {probe.machine.driver} or in pymachine: {bug}")


@dataclass(frozen=True, slots=True)
class _Probe:
    """One machine, looked at: its engine is asked, and where that does not answer, its driver why not."""

    machine: Machine
    tools: Services
    inspections: Inspections
    limit: Deadline

    def result(self) -> ProbeResult:
        """Look, until about its deadline. Raises ``PymachineError`` where there is nothing to ask."""
        if self.machine.phase is not Phase.READY or self.machine.endpoint is None:
            return self._by_driver()
        deadline = max(self.limit.left * ENGINE_SHARE, 0.01)
        folder = _client_folder(self.machine, self.tools)
        try:
            answer = self.tools.ask_engine(self.machine.endpoint, folder, deadline=deadline)
        except PymachineError as error:
            return self._explained(error)
        return ProbeResult(State.RUNNING, engine=answer.version, seconds=answer.seconds)

    def _explained(self, error: PymachineError) -> ProbeResult:
        """Tell a host that is down from an engine that is, by what the driver sees."""
        result = self._by_driver()
        if isinstance(error, EngineError) and not result.moved:
            return replace(result, state=State.RUNNING, reason=error.message)
        return replace(result, reason=result.reason or error.message)

    def _by_driver(self) -> ProbeResult:
        if self.machine.handle is None:
            return ProbeResult(State.MISSING)
        took = Deadline(0.0)
        status = self.inspections.status(self.machine, self.limit)
        seconds = took.spent
        address = self._moved_to(status)
        if address:
            reason = f"it moved to {address}: `pymachine start {self.machine.name}` updates its address"
            return ProbeResult(status.state, reason=reason, seconds=seconds, moved=True)
        return ProbeResult(status.state, reason=status.detail, seconds=seconds)

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
    if not is_begun(machine) and all(os.path.exists(f"{folder}/{file}") for file in CLIENT_FILES):  # noqa: PTH110 - a path each costs more
        return folder
    return client_folder(machine, tools)
