"""From an inventory, the records and what was found on the hosts to a list of actions with reasons. Pure."""

from pymachine.fleet.plan.action_kinds import Kind
from pymachine.fleet.plan.actions import Action, Chain, Plan, Refusal
from pymachine.fleet.plan.build import plan
from pymachine.fleet.plan.observed import Deployed, Finding, Known, Memory, Seat, Traits, Unresolved, Why
from pymachine.fleet.plan.order import ONE_BY_ONE, Batch
from pymachine.fleet.plan.payloads import Payload

__all__ = [
    "ONE_BY_ONE",
    "Action",
    "Batch",
    "Chain",
    "Deployed",
    "Finding",
    "Kind",
    "Known",
    "Memory",
    "Payload",
    "Plan",
    "Refusal",
    "Seat",
    "Traits",
    "Unresolved",
    "Why",
    "plan",
]
