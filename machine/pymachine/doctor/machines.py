"""What is examined of machines: the record, certificates, the engine over TLS, the host over SSH."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from pymachine.doctor.examination import Examination
from pymachine.driver import Health, HealthCheck
from pymachine.engine.checks import matches_version
from pymachine.errors import AuthFailed, HostKeyMismatch, NoCommonAlgorithm, PymachineError, SudoFailed, Unreachable
from pymachine.fleet.apply.survey import find
from pymachine.fleet.plan import ObservedMachine
from pymachine.model import Certificates, Machine, Phase, State
from pymachine.probe import ProbeResult, probe_machines
from pymachine.steps.services import Services
from pymachine.steps.status import Inspections

WARNING = timedelta(days=30)  # before the end of a certificate
DRIVER_SHARE = 0.9  # of the time: the answer has to be there before it counts as late
_OFF = {State.STOPPED: "stopped", State.PAUSED: "paused", State.SAVED: "saved"}
_LOGIN = (AuthFailed, HostKeyMismatch, NoCommonAlgorithm, SudoFailed, Unreachable)


def machine_examinations(machines: Sequence[Machine], tools: Services, timeout: float) -> list[Examination]:
    """Return what is to be examined of these machines; a half-made one is only reported."""
    inspections = Inspections(machines, tools)
    found = []
    for machine in machines:
        found.append(Examination(machine.name, "record", partial(_record, machine, tools.now())))
        if machine.phase is not Phase.READY:
            continue
        if machine.endpoint is not None:
            found.append(Examination(machine.name, "engine", partial(_engine, machine, tools, timeout)))
        if machine.ssh is not None:
            found.append(Examination(machine.name, "host", partial(_host, machine, tools, inspections)))
    return found


def _record(machine: Machine, now: float) -> list[HealthCheck]:
    if machine.phase is Phase.REMOVING:
        return [HealthCheck("record", Health.FAULT, "it is half-removed", f"pymachine rm {machine.name}")]
    if machine.phase is not Phase.READY:
        verb = "adopt" if machine.adopted else "create"
        mend = f"run its {verb} command again, or undo it: pymachine rm {machine.name}"
        return [HealthCheck("record", Health.FAULT, f"it is half-made ({machine.phase})", mend)]
    checks = [HealthCheck("record", Health.FINE)]
    if machine.fault is not None:
        detail = f"{machine.fault.verb or 'the last change'} stopped at {machine.fault.step}: {machine.fault.message}"
        checks = [HealthCheck("record", Health.FAULT, detail, _provision(machine))]
    if machine.certificates is not None:
        checks.append(_certificates(machine, machine.certificates, datetime.fromtimestamp(now, UTC)))
    return checks


def _certificates(machine: Machine, found: Certificates, now: datetime) -> HealthCheck:
    ends = {"authority": found.ca_expires, "server": found.server_expires, "client": found.client_expires}
    dated = sorted((datetime.fromisoformat(end), part) for part, end in ends.items() if end)
    if not dated:
        return HealthCheck("certificates", Health.UNKNOWN, "no dates are on record")
    end, part = dated[0]
    told = f"{part}: {'expired' if end <= now else 'valid until'} {end:%Y-%m-%d}"
    if end - now > WARNING:
        return HealthCheck("certificates", Health.FINE, told)
    return HealthCheck("certificates", Health.FAULT, told, _provision(machine))


def _provision(machine: Machine) -> str:
    if machine.guest:
        return "run `pymachine provision` where the machine was created, and `pymachine export` if certificates ended"
    if machine.ssh is None:
        return f"pymachine rm {machine.name}, then create it with new certificates"
    return f"pymachine provision {machine.name}"


def _engine(machine: Machine, tools: Services, timeout: float) -> list[HealthCheck]:
    result = probe_machines([machine], tools, timeout * DRIVER_SHARE)[machine.name]
    if result.engine is None:
        return [_silent_engine(machine, result)]
    checks = [HealthCheck("engine", Health.FINE, f"{machine.endpoint.url if machine.endpoint else ''} answers")]
    wanted = machine.engine.version
    if wanted and not matches_version(result.engine, wanted):
        detail, mend = f"{result.engine}, wanted {wanted}", f"pymachine upgrade --version {wanted} {machine.name}"
        return [*checks, HealthCheck("engine version", Health.FAULT, detail, mend)]
    return [*checks, HealthCheck("engine version", Health.FINE, result.engine)]


def _silent_engine(machine: Machine, result: ProbeResult) -> HealthCheck:
    if result.state in _OFF:
        return _off("engine", machine, result.state)
    if result.state is State.MISSING:
        mend = f"pymachine rm {machine.name}, then create it again"
        return HealthCheck("engine", Health.FAULT, result.reason or "its host does not exist any longer", mend)
    if result.moved:
        return HealthCheck("engine", Health.FAULT, result.reason, f"pymachine start {machine.name}")
    if result.state in (State.RUNNING, State.UNREACHABLE):
        return HealthCheck("engine", Health.FAULT, result.reason, _provision(machine))
    return HealthCheck("engine", Health.UNKNOWN, result.reason or f"its state is {result.state}")


def _off(check: str, machine: Machine, state: State) -> HealthCheck:
    return HealthCheck(check, Health.UNKNOWN, f"the machine is {_OFF[state]}", f"pymachine start {machine.name}")


def _host(machine: Machine, tools: Services, inspections: Inspections) -> list[HealthCheck]:
    """Log in and compare the host with the record. Raises ``PymachineError`` for what could not be asked."""
    try:
        found = find(machine, machine.engine, tools, inspections)
    except _LOGIN as error:
        return _not_logged_in(error)
    if found.state in _OFF:
        return [_off("drift", machine, found.state)]
    if not found.seen:
        return _not_logged_in(Unreachable(found.reason, hint=f"pymachine ssh -v {machine.name}"))
    checks = [HealthCheck("ssh", Health.FINE)]
    return checks if machine.guest else [*checks, *_drift(machine, found)]


def _not_logged_in(error: PymachineError) -> list[HealthCheck]:
    return [
        HealthCheck("ssh", Health.FAULT, error.message, error.hint or ""),
        HealthCheck("drift", Health.UNKNOWN, "the host could not be asked"),
    ]


def _drift(machine: Machine, found: ObservedMachine) -> Iterator[HealthCheck]:
    if found.refusal:
        yield HealthCheck("drift", Health.FAULT, found.refusal, found.refusal_hint)
    for change in found.differences:
        yield HealthCheck("drift", Health.FAULT, change.in_words(), _provision(machine))
    if not found.refusal and not found.differences:
        yield HealthCheck("drift", Health.FINE)
