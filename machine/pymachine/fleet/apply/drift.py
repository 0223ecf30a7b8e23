"""How hosts differ from the inventory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pymachine.engine.checks import matches_version
from pymachine.errors import PymachineError, TlsError
from pymachine.events import surveying
from pymachine.fleet.inventory.model import Fleet, MachineSpec
from pymachine.fleet.plan import ActionKind, Observed, ObservedMachine, Plan
from pymachine.fleet.plan.membership import SWARM
from pymachine.fleet.plan.stacks import unsettled_parts
from pymachine.model import Machine, Phase
from pymachine.parallel import spread
from pymachine.steps.renewal import client_folder
from pymachine.steps.services import Services
from pymachine.swarm_api.view import ClusterView

ASK_DEADLINE = 20.0
STACK = "stack"
_SEATS = (
    ActionKind.UNLOCK, ActionKind.INIT, ActionKind.SETTINGS, ActionKind.JOIN, ActionKind.PROMOTE,
    ActionKind.DEMOTE, ActionKind.ADJUST, ActionKind.LEAVE, ActionKind.FORGET,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference from the inventory.

    ``part`` is ``host``, ``engine``, ``daemon.json``, ``certificates``, ``swarm`` or ``stack``, whose name then
    replaces the machine's. ``unseen`` says that the host could not be examined, so that there may be more.
    """

    machine: str
    part: str
    detail: str
    unseen: bool = False


def drift(
    fleet: Fleet, records: Mapping[str, Machine], known: Observed, made: Plan, answers: Mapping[str, str]
) -> list[Drift]:
    """Return all differences, machine by machine. ``answers`` are the certificate errors of engines."""
    found: list[Drift] = []
    for spec in fleet.machines:
        found += _of_machine(spec, records.get(spec.name), known.findings.get(spec.name), answers)
        found += _of_seat(spec.name, made)
    listed = {spec.name for spec in fleet.machines}
    surplus = [name for name, m in records.items() if fleet.name and m.fleet == fleet.name and name not in listed]
    found += [Drift(name, "host", "it is not in the inventory") for name in surplus]
    others = [chain.subject for chain in made.chains if chain.subject not in {*listed, *surplus}]
    found += [difference for subject in others for difference in _of_seat(subject, made)]
    return [*found, *_of_swarm(known.view), *_of_stacks(fleet, known)]


def _of_swarm(view: ClusterView | None) -> Iterator[Drift]:
    """Return differences of a Swarm that cannot be changed, or of which no manager answered."""
    if view is not None and (view.quorum_lost or view.trouble):
        yield Drift(SWARM, SWARM, view.trouble or view.quorum.in_words(), unseen=not view.quorum_lost)


def _of_stacks(fleet: Fleet, known: Observed) -> Iterator[Drift]:
    """Return differences of the services and containers of deployed stacks."""
    for stack in fleet.stacks:
        before = known.memory.stacks.get(stack.name)
        if before is None or before.on != (stack.on or "") or stack.name not in known.wanted:
            continue
        found = unsettled_parts(stack, known)
        if found is None:
            what = "containers" if stack.on else "services"
            yield Drift(stack.name, STACK, f"its {what} could not be determined", unseen=True)
        for part in found or ():
            yield Drift(stack.name, STACK, f"{part.name}: {part.in_words()}")


def ask_all(machines: Iterable[Machine], tools: Services, width: int) -> dict[str, str]:
    """Ask engines over TLS, and return the errors of those that show a wrong certificate."""
    asked = [m for m in machines if m.phase is Phase.READY and m.endpoint is not None and m.certificates is not None]
    found = {}
    with surveying(tools.reporter, "asking engines", [machine.name for machine in asked]) as seen:
        for machine, answer in spread(asked, lambda m: _ask(m, tools), width):
            seen(machine.name)
            if isinstance(answer, TlsError):
                found[machine.name] = answer.message
    return found


def _ask(machine: Machine, tools: Services) -> PymachineError | None:
    assert machine.endpoint is not None
    tools.ask_engine(machine.endpoint, client_folder(machine, tools), deadline=ASK_DEADLINE)
    return None


def _of_machine(
    spec: MachineSpec, machine: Machine | None, finding: ObservedMachine | None, answers: Mapping[str, str]
) -> Iterator[Drift]:
    name = spec.name
    if machine is None:
        yield Drift(name, "host", "it is missing: not created yet")
        return
    if machine.phase is not Phase.READY:
        yield Drift(name, "host", f"it is half-made ({machine.phase})")
        return
    if finding is None or not finding.seen:
        state = f"it is {finding.state.lower()}" if finding else "it was not examined"
        reason = f": {finding.reason}" if finding and finding.reason else ""
        yield Drift(name, "host", state + reason, unseen=True)
        return
    yield from _of_engine(spec, finding)
    if name in answers:
        yield Drift(name, "certificates", answers[name])


def _of_engine(spec: MachineSpec, finding: ObservedMachine) -> Iterator[Drift]:
    wanted = spec.engine.version
    if wanted and not matches_version(finding.engine, wanted):
        yield Drift(spec.name, "engine", f"version {finding.engine or 'none'}, wanted {wanted}")
    if finding.refusal:
        yield Drift(spec.name, "engine", finding.refusal)
    for change in (*finding.differences, *finding.renewals):
        yield Drift(spec.name, change.aspect, change.in_words())


def _of_seat(subject: str, made: Plan) -> Iterator[Drift]:
    for chain in made.chains:
        if chain.subject == subject:
            for action in chain.actions:
                if action.kind in _SEATS:
                    for reason in action.reasons:
                        yield Drift(subject, SWARM, reason)
