"""What is to be done to the places of machines in the Swarm. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pymachine.difference import difference
from pymachine.documents import to_document
from pymachine.errors import CheckFailed, UsageFault
from pymachine.fleet.inventory.model import Fleet, MachineSpec, NodeSpec
from pymachine.fleet.plan import payloads
from pymachine.fleet.plan.actions import Action, Cause, Refusal
from pymachine.fleet.plan.diff import label_differences
from pymachine.fleet.plan.machines import MachineActions
from pymachine.fleet.plan.observed import Observed, ObservedMachine
from pymachine.model import Machine
from pymachine.swarm_api.addresses import check_pools
from pymachine.swarm_api.view import DRAINED_LABEL, MACHINE_LABEL, MANAGER, ClusterView, SwarmNode, wanted_labels

SWARM = "swarm"  # the subject of what concerns the Swarm as a whole
ACTIVE, LOCKED, INACTIVE = "active", "locked", "inactive"
# What a Swarm keeps for good.
_FOR_GOOD = ("address_pools", "subnet_size", "data_path_port")


@dataclass(frozen=True, slots=True)
class MembershipActions:
    """What the Swarm asks for: actions by the machine or node that they concern."""

    actions: Mapping[str, tuple[Action, ...]]
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    partial: bool = False


def seat_all(
    fleet: Fleet, records: Mapping[str, Machine], parts: Mapping[str, MachineActions], known: Observed
) -> MembershipActions:
    """Compare the places that machines have with those that they shall have."""
    view = known.view if _survives(fleet, records, parts, known.view) else None
    wanted = [spec for spec in fleet.machines if spec.swarm is not None]
    if view is None:
        clash = _clash(fleet, wanted, records, known)
        return MembershipActions({}, (clash,)) if clash else _founded(wanted, parts, known)
    if not view.spoken_to:
        return _unspoken(view, parts)
    found: dict[str, tuple[Action, ...]] = {}
    refusals: list[Refusal] = []
    for spec in fleet.machines:
        part = parts[spec.name]
        if part.blocked:
            continue
        if stranger := _elsewhere(spec, known.findings.get(spec.name), view, part):
            refusals.append(stranger)
        else:
            found[spec.name] = _node_actions(spec, records.get(spec.name), view, part, known)
    found.update(_forgotten(view, records))
    if settings := _settings(fleet, known):
        found[SWARM] = settings
    return MembershipActions(found, tuple(refusals), _unchangeable(fleet, known))


def _survives(
    fleet: Fleet, records: Mapping[str, Machine], parts: Mapping[str, MachineActions], view: ClusterView | None
) -> bool:
    """Whether a machine that is a member stays: else the Swarm is gone with its machines."""
    if view is None:
        return False
    if view.spoken_to:
        return True
    names = {spec.name for spec in fleet.machines}
    return any(m.swarm and name in names and not parts[name].makes for name, m in records.items())


def _founded(
    wanted: Sequence[MachineSpec], parts: Mapping[str, MachineActions], known: Observed
) -> MembershipActions:
    """No Swarm is there: the first manager founds it, the others join."""
    able = [spec for spec in wanted if not parts[spec.name].blocked]
    managers = [spec for spec in able if spec.swarm and spec.swarm.role == MANAGER]
    if not managers:
        return MembershipActions({}, notes=("no manager of the Swarm can be changed",) if wanted else ())
    founder = min(managers, key=lambda spec: not _controls(known.findings.get(spec.name)))
    first = Action(payloads.Init(), founder.name, ("the fleet has no Swarm yet",))
    actions = {founder.name: (first,)}
    for spec in able:
        if spec is not founder and spec.swarm is not None:
            actions[spec.name] = (_join(spec.name, spec.swarm, "the Swarm is new"),)
    return MembershipActions(actions)


def _clash(
    fleet: Fleet, wanted: Sequence[MachineSpec], records: Mapping[str, Machine], known: Observed
) -> Refusal | None:
    """Refuse pools in which a host or a network of an engine lies, as founding the Swarm would."""
    if fleet.swarm is None or not fleet.swarm.address_pools:
        return None
    taken = [place for spec in wanted for place in _taken(spec, records.get(spec.name), known)]
    try:
        check_pools(fleet.swarm.address_pools, fleet.swarm.subnet_size, taken)
    except (CheckFailed, UsageFault) as error:
        return Refusal(SWARM, error.message, error.hint or "")
    return None


def _taken(spec: MachineSpec, machine: Machine | None, known: Observed) -> list[tuple[str, str]]:
    """Return what is known of a machine's addresses and networks, with whose they are: found, on record, or given."""
    finding = known.findings.get(spec.name)
    reached = [machine.endpoint.host] if machine and machine.endpoint else []
    given = [str(spec.options["ssh_host"])] if "ssh_host" in spec.options else []
    own = (*(finding.addresses if finding else ()), *(machine.addresses if machine else ()), *reached, *given)
    bridges = finding.bridges if finding else ()
    return [
        *((address, f"an address of {spec.name}") for address in own),
        *((network, f"a network of the engine of {spec.name}") for network in bridges),
    ]


def _controls(finding: ObservedMachine | None) -> bool:
    return finding is not None and finding.node.state == ACTIVE and finding.node.control


def _unspoken(view: ClusterView, parts: Mapping[str, MachineActions]) -> MembershipActions:
    """No manager can tell how the Swarm is: unlock it, wait for machines that start, or give up."""
    if view.locked:
        locked = {name: (_unlock(name),) for name in view.locked}
        return MembershipActions(locked, notes=("its Swarm is planned once its managers are unlocked",), partial=True)
    if any(part.starts for part in parts.values()):
        return MembershipActions({}, notes=("its Swarm is planned once its machines are on",), partial=True)
    hint = (
        "`pymachine swarm recover` helps to recover it"
        if view.lost
        else "`pymachine swarm status` shows its managers"
    )
    return MembershipActions({}, (Refusal(SWARM, view.trouble, hint),))


def _elsewhere(
    spec: MachineSpec, finding: ObservedMachine | None, view: ClusterView, part: MachineActions
) -> Refusal | None:
    """Refuse a machine that is to join and is in another Swarm."""
    if spec.swarm is None or finding is None or part.makes or view.node_of(spec.name):
        return None
    if not finding.node.cluster or finding.node.cluster == view.id:
        return None
    return Refusal(
        spec.name,
        f"it is a node of another Swarm ({finding.node.cluster})",
        f"`pymachine swarm leave {spec.name}` removes it from that one",
    )


def _node_actions(
    spec: MachineSpec, machine: Machine | None, view: ClusterView, part: MachineActions, known: Observed
) -> tuple[Action, ...]:
    node = view.node_of(spec.name) if machine is not None else None
    if spec.swarm is None:
        leaves = node is not None and not part.makes
        return (Action(payloads.Leave(), spec.name, ("the inventory gives it no Swarm role",)),) if leaves else ()
    if part.makes or node is None:
        return (_join(spec.name, spec.swarm, "it is not a node of the Swarm"),)
    if part.starts or machine is None:
        return ()
    return _sitting(spec, spec.swarm, machine, node, known.findings.get(spec.name))


def _sitting(
    spec: MachineSpec, wanted: NodeSpec, machine: Machine, node: SwarmNode, finding: ObservedMachine | None
) -> tuple[Action, ...]:
    """A machine that is a node: look at its part."""
    state = finding.node.state if finding else ACTIVE
    if state == LOCKED:
        return (_unlock(spec.name),)
    if state == INACTIVE:
        return (_join(spec.name, wanted, "its engine is no longer a Swarm member"),)
    causes = _node_causes(wanted, machine, node)
    if node.role != wanted.role:
        payload = payloads.Promote() if wanted.role == MANAGER else payloads.Demote()
        return (Action(payload, spec.name, (difference("role", node.role, wanted.role), *causes)),)
    return (Action(payloads.Adjust(), spec.name, causes),) if causes else ()


def _node_causes(wanted: NodeSpec, machine: Machine, node: SwarmNode) -> tuple[Cause, ...]:
    labels = wanted_labels(node.labels, wanted.labels, machine.id)
    causes: tuple[Cause, ...] = (
        label_differences(labels, node.labels, "node label") if labels != dict(node.labels) else ()
    )
    if DRAINED_LABEL in node.labels:
        return (*causes, "it was left drained by an interrupted run")
    if node.availability != wanted.availability:
        return (*causes, difference("availability", node.availability, wanted.availability))
    return causes


def _unlock(name: str) -> Action:
    return Action(payloads.Unlock(), name, ("its engine restarted and locked itself",))


def _forget(node: SwarmNode) -> Action:
    return Action(payloads.Forget(), node.id, (f"node {node.hostname}: its machine is gone",))


def _join(name: str, wanted: NodeSpec, reason: str) -> Action:
    return Action(payloads.Join(wanted.role), name, (f"as a {wanted.role}", reason))


def _forgotten(view: ClusterView, records: Mapping[str, Machine]) -> dict[str, tuple[Action, ...]]:
    """Nodes that are down and were machines of ours, of which there is no record any more."""
    ids = {machine.id for machine in records.values()}
    gone = [
        node
        for node in view.strangers
        if node.state == "down" and (owner := node.labels.get(MACHINE_LABEL)) and owner not in ids
    ]
    return {node.hostname or node.id: (_forget(node),) for node in gone}


def _settings(fleet: Fleet, known: Observed) -> tuple[Action, ...]:
    """Settings of the Swarm that are other ones than it was given last."""
    if fleet.swarm is None or known.view is None:
        return ()
    wanted = {key: value for key, value in to_document(fleet.swarm).items() if key not in _FOR_GOOD}
    before = {**wanted, "autolock": known.view.autolock, **_last(known, wanted)}
    before["autolock"] = known.view.autolock
    causes = tuple(
        difference(key.replace("_", " "), before[key], wanted[key]) for key in wanted if before[key] != wanted[key]
    )
    return (Action(payloads.UpdateSwarm(), SWARM, causes),) if causes else ()


def _last(known: Observed, wanted: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in known.memory.swarm.items() if key in wanted}


def _unchangeable(fleet: Fleet, known: Observed) -> tuple[str, ...]:
    if fleet.swarm is None:
        return ()
    wanted, last = to_document(fleet.swarm), known.memory.swarm
    changed = [key for key in _FOR_GOOD if key in last and last[key] != wanted[key]]
    return tuple(f"{key.replace('_', ' ')} of an existing Swarm cannot be changed" for key in changed)
