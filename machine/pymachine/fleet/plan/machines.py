"""Plans the actions on one machine, without its Swarm role. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pymachine.difference import difference
from pymachine.engine.bridge_networks import network_conflicts
from pymachine.engine.checks import compare_versions, matches_version
from pymachine.engine.options import wanted_config
from pymachine.errors import UsageFault
from pymachine.fleet.inventory.model import MachineSpec
from pymachine.fleet.plan import payloads
from pymachine.fleet.plan.action_kinds import ActionKind
from pymachine.fleet.plan.actions import Action, Cause, Refusal
from pymachine.fleet.plan.diff import Changed, changed_engine, changed_options, engine_differences, label_differences
from pymachine.fleet.plan.observed import MOVE, REACH, RECORD, REFIT, REPLACE, SIZE, Observed, ObservedMachine
from pymachine.fleet.plan.payloads import Payload
from pymachine.model import Machine, Phase, State

_NO_ENGINE = "there is no longer an engine on its host"
_ASLEEP = (State.STOPPED, State.PAUSED, State.SAVED)
MAKING = (ActionKind.CREATE, ActionKind.RESUME, ActionKind.REMAKE, ActionKind.REPLACE)


@dataclass(frozen=True, slots=True)
class MachineActions:
    """The actions on a machine's host and engine; ``unseen`` says why they are unknown."""

    actions: tuple[Action, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    unseen: str = ""

    @property
    def blocked(self) -> bool:
        """Whether nothing else can be planned for the machine."""
        return bool(self.refusals or self.unseen)

    @property
    def makes(self) -> bool:
        """Whether the machine is created, recreated, or gets a new engine."""
        return any(action.kind in (*MAKING, ActionKind.INSTALL) for action in self.actions)

    @property
    def starts(self) -> bool:
        """Whether more actions may appear once it is on, or can be reached."""
        return any(action.kind in (ActionKind.START, ActionKind.REACH, ActionKind.MOVE) for action in self.actions)


def host_part(spec: MachineSpec, machine: Machine | None, fleet: str, known: Observed) -> MachineActions:
    """Compare a machine of the inventory with its record and with what was found."""
    if machine is None:
        return _created(spec)
    if machine.fleet not in ("", fleet):
        return _refused(
            spec.name,
            f"it belongs to fleet {machine.fleet}",
            f"give it another name here, or remove it from the inventory of {machine.fleet}",
        )
    if machine.phase is not Phase.READY:
        return _half_made(spec, machine, known)
    if not _same_driver(spec.driver, machine.driver, known):
        return _replaced(spec, known, difference("driver", machine.driver, spec.driver))
    changed = changed_options(spec, machine, known.traits[spec.driver])
    if REPLACE in changed.causes:
        return _replaced(spec, known, *changed.causes[REPLACE])
    if MOVE in changed.causes and _is_another(known.findings.get(spec.name)):
        return _replaced(spec, known, *changed.causes[MOVE])
    return _kept(spec, machine, changed, known)


def _created(spec: MachineSpec) -> MachineActions:
    """Plan a machine that does not exist yet; its address may already be known."""
    given = [str(spec.options["ssh_host"])] if "ssh_host" in spec.options else []
    try:
        clash = network_conflicts(wanted_config(spec.engine, spec.driver), {}, given)
    except UsageFault as error:
        return _refused(spec.name, error.message, error.hint or "")
    if clash:
        return _refused(spec.name, clash[0], "give the engine networks without any of your hosts")
    return _one(payloads.Create(), spec, f"driver {spec.driver}")


def _half_made(spec: MachineSpec, machine: Machine, known: Observed) -> MachineActions:
    if machine.phase is Phase.REMOVING:
        return _one(payloads.Remake(), spec, "it is half-removed")
    if not _same_driver(spec.driver, machine.driver, known):
        return _one(payloads.Remake(), spec, f"it is half-made by driver {machine.driver}")
    where = f"it stopped at {machine.fault.step}" if machine.fault else f"it is half-made ({machine.phase})"
    return _one(payloads.Resume(), spec, where)


def _replaced(spec: MachineSpec, known: Observed, *causes: Cause) -> MachineActions:
    """Plan another machine in its place; an unreachable one cannot leave the Swarm first."""
    finding = known.findings.get(spec.name)
    payload = payloads.Replace(lost=finding is not None and not finding.seen)
    return MachineActions((Action(payload, spec.name, causes),))


def _is_another(finding: ObservedMachine | None) -> bool:
    return finding is not None and finding.another


def _kept(spec: MachineSpec, machine: Machine, changed: Changed, known: Observed) -> MachineActions:
    """Plan a machine that is kept, from the survey."""
    finding = known.findings.get(spec.name) or ObservedMachine(State.UNKNOWN, "it was not examined")
    made_by_us = not known.traits[spec.driver].preexisting and not machine.adopted
    if finding.state is State.MISSING and made_by_us:
        return _one(payloads.Remake(), spec, "its host is gone")
    first = _recorded(spec, machine, changed, finding)
    if finding.state in _ASLEEP and made_by_us:
        return MachineActions((*first, _action(payloads.Start(), spec, f"it is {finding.state.lower()}")))
    if not finding.seen:
        elsewhere = REACH in changed.causes or MOVE in changed.causes
        return MachineActions(first, unseen="" if elsewhere else _why_unseen(finding))
    return _looked_at(spec, machine, changed, finding, first)


def _recorded(spec: MachineSpec, machine: Machine, changed: Changed, finding: ObservedMachine) -> tuple[Action, ...]:
    """Plan changes of the record alone, and of the access to the machine."""
    actions = [] if machine.fleet else [_action(payloads.Adopt(), spec, "it is on record and belongs to no fleet")]
    labels = label_differences(spec.labels, machine.labels)
    if labels or RECORD in changed.causes:
        causes = (*labels, *changed.causes.get(RECORD, ()))
        actions.append(Action(payloads.Relabel(changed.values.get(RECORD, {})), spec.name, causes))
    if MOVE in changed.causes:
        options = {**changed.values.get(REACH, {}), **changed.values[MOVE]}
        causes = (*changed.causes[MOVE], *changed.causes.get(REACH, ()))
        actions.append(Action(payloads.Move(options, lost=not finding.seen), spec.name, causes))
    elif REACH in changed.causes:
        actions.append(Action(payloads.ChangeLogin(changed.values[REACH]), spec.name, changed.causes[REACH]))
    return tuple(actions)


def _looked_at(
    spec: MachineSpec, machine: Machine, changed: Changed, finding: ObservedMachine, first: Sequence[Action]
) -> MachineActions:
    refusal = _refusal(spec, finding)
    if refusal is not None:
        return MachineActions(tuple(first), (refusal,))
    actions = list(first)
    if changed.sizes:
        resize = payloads.Resize(**changed.sizes, options=changed.values[SIZE])
        actions.append(Action(resize, spec.name, changed.causes[SIZE]))
    if REFIT in changed.causes:
        actions.append(Action(payloads.Refit(changed.values[REFIT]), spec.name, changed.causes[REFIT]))
    upgrade = _upgrade(spec, finding)
    return MachineActions((*actions, *_configured(spec, machine, finding, upgrades=bool(upgrade)), *upgrade))


def _refusal(spec: MachineSpec, finding: ObservedMachine) -> Refusal | None:
    if finding.refusal:
        return Refusal(spec.name, finding.refusal, finding.refusal_hint)
    wanted = spec.engine.version
    if wanted and finding.engine and _is_older(wanted, finding.engine):
        return Refusal(
            spec.name,
            f"engine {finding.engine} is installed, {wanted} would be a downgrade",
            "engines cannot read what newer ones wrote; request that version or a newer one",
        )
    return None


def _is_older(wanted: str, present: str) -> bool:
    return not matches_version(present, wanted) and compare_versions(wanted, present) < 0


def _upgrade(spec: MachineSpec, finding: ObservedMachine) -> tuple[Action, ...]:
    wanted = spec.engine.version
    if not wanted or not finding.engine or matches_version(finding.engine, wanted):
        return ()
    return (_action(payloads.UpgradeEngine(wanted), spec, difference("engine", finding.engine, wanted)),)


def _configured(
    spec: MachineSpec, machine: Machine, finding: ObservedMachine, *, upgrades: bool
) -> tuple[Action, ...]:
    changes = changed_engine(spec.engine, machine.engine)
    causes: tuple[Cause, ...] = engine_differences(changes, machine.engine) or finding.differences
    if spec.engine.version != machine.engine.version and not upgrades:
        changes["version"] = spec.engine.version
        causes += (difference("version", machine.engine.version or "any", spec.engine.version or "any"),)
    if not causes and not finding.renewals and not finding.bare:
        return ()
    found = finding.effects
    if finding.bare:
        causes = (_NO_ENGINE, *causes)
        payload: Payload = payloads.InstallEngine(changes, found)
    else:
        payload = payloads.Configure(changes, found) if causes else payloads.Renew(found)
    return (Action(payload, spec.name, (*causes, *finding.renewals)),)


def _same_driver(one: str, other: str, known: Observed) -> bool:
    """Whether two names mean one driver: aliases have the same options class."""
    first, second = known.traits.get(one), known.traits.get(other)
    return one == other or (first is not None and second is not None and first.options is second.options)


def _why_unseen(finding: ObservedMachine) -> str:
    return finding.reason or f"it is {finding.state.lower()}"


def _action(payload: Payload, spec: MachineSpec, *causes: Cause) -> Action:
    return Action(payload, spec.name, causes)


def _one(payload: Payload, spec: MachineSpec, *causes: Cause) -> MachineActions:
    return MachineActions((_action(payload, spec, *causes),))


def _refused(name: str, message: str, hint: str) -> MachineActions:
    return MachineActions(refusals=(Refusal(name, message, hint),))
