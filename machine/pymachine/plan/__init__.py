"""From an inventory, the records and what was found on the hosts to a list of actions with reasons. Pure."""

from pymachine.plan.actions import Action, Chain, Plan, Refusal
from pymachine.plan.findings import Deployed, Finding, Known, Memory, Seat, Traits, Unresolved, Why
from pymachine.plan.kinds import Kind
from pymachine.plan.order import ONE_BY_ONE, Batch
from pymachine.plan.payloads import Payload
from pymachine.plan.planning import plan

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
