"""The plan of a fleet: inventory, records and findings in, chains of actions with reasons out. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pymachine.fleet.inventory.model import Fleet, MachineSpec
from pymachine.fleet.plan.action_kinds import ActionKind
from pymachine.fleet.plan.actions import Action, Plan
from pymachine.fleet.plan.holds import held_back
from pymachine.fleet.plan.interruptions import with_interruptions
from pymachine.fleet.plan.machines import MachineActions, host_part
from pymachine.fleet.plan.membership import MembershipActions, seat_all
from pymachine.fleet.plan.nodes import members_of, nodes_of, outage
from pymachine.fleet.plan.observed import Observed
from pymachine.fleet.plan.order import ONE_BY_ONE, ActionOrder, Batch, chained
from pymachine.fleet.plan.removals import is_manager, removals
from pymachine.fleet.plan.stacks import plan_stacks
from pymachine.model import Machine
from pymachine.swarm_api.view import MANAGER


def plan(fleet: Fleet, records: Mapping[str, Machine], known: Observed, batch: Batch = ONE_BY_ONE) -> Plan:
    """Return what has to be done to the fleet, and why; the same input gives the same plan.

    ``records`` are all of the store by name, also those of nobody's fleet; these are never removed. ``batch`` says
    how many workers of the Swarm may be without their engine at once.
    """
    parts = {spec.name: host_part(spec, records.get(spec.name), fleet.name, known) for spec in fleet.machines}
    seating = seat_all(fleet, records, parts, known)
    found: dict[str, tuple[Action, ...]] = {
        spec.name: _merged(parts[spec.name].actions, seating.actions.get(spec.name, ())) for spec in fleet.machines
    }
    found.update({subject: actions for subject, actions in seating.actions.items() if subject not in found})
    found.update({action.subject: (action,) for action in removals(fleet, records, known)})
    stacks = plan_stacks(fleet, records, known, _remade(parts, seating))
    found.update(stacks.actions)
    nodes = nodes_of(records, known)
    held = held_back(found, nodes, members_of(records))
    ordered = ActionOrder(chained(held.actions), nodes, _leading(records, known), batch).applied()
    chains = with_interruptions(ordered, known)
    refusals = [refusal for part in parts.values() for refusal in part.refusals]
    actions = [action for chain in chains for action in chain.actions]
    return Plan(
        fleet.name,
        chains,
        (*refusals, *seating.refusals, *held.refusals, *stacks.refusals),
        {name: part.unseen for name, part in parts.items() if part.unseen},
        (*seating.notes, *held.notes, *outage(actions, nodes), *stacks.notes, *_advice(fleet)),
        seating.partial or held.partial or any(part.starts for part in parts.values()),
    )


def _merged(host: tuple[Action, ...], node: tuple[Action, ...]) -> tuple[Action, ...]:
    """A node becomes a manager before its engine restarts, and stops being one after."""
    arrives = [action for action in node if action.kind in (ActionKind.PROMOTE, ActionKind.UNLOCK)]
    later = [action for action in node if action not in arrives]
    return (*arrives, *host, *later)


def _remade(parts: Mapping[str, MachineActions], seating: MembershipActions) -> list[str]:
    made = [name for name, part in parts.items() if part.makes]
    founded = any(action.kind is ActionKind.INIT for actions in seating.actions.values() for action in actions)
    return [*made, *([""] if founded else [])]


def _leading(records: Mapping[str, Machine], known: Observed) -> list[str]:
    return [name for name, machine in records.items() if is_manager(machine, known)]


def _advice(fleet: Fleet) -> tuple[str, ...]:
    managers = [spec for spec in fleet.machines if _leads(spec)]
    if len(managers) < 2 or len(managers) % 2:
        return ()
    count = len(managers)
    return (f"{count} managers survive no more losses than {count - 1}: use an odd number",)


def _leads(spec: MachineSpec) -> bool:
    return spec.swarm is not None and spec.swarm.role == MANAGER
