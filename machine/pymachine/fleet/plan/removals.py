"""Removals of machines that the inventory no longer has. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pymachine.fleet.inventory.model import Fleet
from pymachine.fleet.plan import payloads
from pymachine.fleet.plan.actions import Action
from pymachine.fleet.plan.observed import Observed
from pymachine.model import Machine
from pymachine.swarm_api.view import MANAGER, SwarmNode


def removals(fleet: Fleet, records: Mapping[str, Machine], known: Observed) -> list[Action]:
    """Return the removals in a valid order: workers, managers that are down, the others.

    Only machines whose record names this fleet are ever removed.
    """
    listed = {spec.name.lower() for spec in fleet.machines}
    surplus = [m for m in records.values() if fleet.name and m.fleet == fleet.name and m.name.lower() not in listed]
    surplus.sort(key=lambda machine: _rank(machine, known))
    last = _last_manager(fleet, surplus)
    return [_removal(machine, known, dissolves=machine is last) for machine in surplus]


def is_manager(machine: Machine, known: Observed) -> bool:
    """Whether a machine is a manager of its Swarm, according to the Swarm or else its record."""
    node = _node(machine, known)
    if node is not None:
        return node.is_manager
    return machine.swarm is not None and machine.swarm.role == MANAGER


def _rank(machine: Machine, known: Observed) -> int:
    if not is_manager(machine, known):
        return 0
    node = _node(machine, known)
    if node is not None and not node.ready:
        return 1
    return 3 if node is not None and node.leader else 2


def _node(machine: Machine, known: Observed) -> SwarmNode | None:
    return known.view.node_of(machine.name) if known.view else None


def _last_manager(fleet: Fleet, surplus: Sequence[Machine]) -> Machine | None:
    """Return the manager that ends the Swarm, if the inventory has no managers any more."""
    managers = [machine for machine in surplus if machine.swarm and machine.swarm.role == MANAGER]
    return managers[-1] if managers and not fleet.managers else None


def _removal(machine: Machine, known: Observed, *, dissolves: bool) -> Action:
    finding = known.findings.get(machine.name)
    lost = finding is not None and not finding.seen
    traits = known.traits.get(machine.driver)
    stays = bool(machine.adopted) or (traits is not None and traits.preexisting)
    payload = payloads.Remove(machine.swarm is not None, dissolves, lost, stays)
    return Action(payload, machine.name, ("it is no longer in the inventory",))
