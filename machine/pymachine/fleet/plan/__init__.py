"""Plans: from an inventory, the records and the survey to a list of actions with reasons. Pure."""

from pymachine.fleet.plan.action_kinds import ActionKind
from pymachine.fleet.plan.actions import Action, Chain, Plan, Refusal
from pymachine.fleet.plan.build import plan
from pymachine.fleet.plan.observed import (
    Deployed,
    FleetState,
    Observed,
    ObservedMachine,
    Traits,
    Unresolved,
    Why,
)
from pymachine.fleet.plan.order import ONE_BY_ONE, Batch
from pymachine.fleet.plan.payloads import Payload

__all__ = [
    "ONE_BY_ONE",
    "Action",
    "ActionKind",
    "Batch",
    "Chain",
    "Deployed",
    "FleetState",
    "Observed",
    "ObservedMachine",
    "Payload",
    "Plan",
    "Refusal",
    "Traits",
    "Unresolved",
    "Why",
    "plan",
]
