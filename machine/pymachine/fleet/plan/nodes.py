"""The machines that are Swarm nodes, for the order of their restarts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pymachine.fleet.plan import payloads
from pymachine.fleet.plan.action_kinds import ActionKind
from pymachine.fleet.plan.actions import Action
from pymachine.fleet.plan.observed import Observed
from pymachine.model import Machine
from pymachine.swarm_api.view import RAFT_LEAST, ClusterView

_ACTIVE = "active"  # what an engine calls itself that takes part
_LEAVING = (ActionKind.LEAVE, ActionKind.REMOVE)
_MOST = 4  # names in a sentence


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes among a fleet's machines.

    ``seated`` are members of the Swarm on record. ``strange`` are machines whose engine is in a Swarm that is not on
    record, so they cannot be drained. Each maps to whether it is a manager. ``vacant`` are members on the node list
    whose host has no engine, or an engine in no Swarm: they count for the majority, but cannot be drained and do not
    come back.
    """

    view: ClusterView | None = None
    seated: Mapping[str, bool] = field(default_factory=dict)
    strange: Mapping[str, bool] = field(default_factory=dict)
    vacant: frozenset[str] = frozenset()

    def __contains__(self, machine: str) -> bool:
        return (machine in self.seated and machine not in self.vacant) or machine in self.strange

    @property
    def leader(self) -> str:
        """The name of the leader's machine; empty if there is none."""
        return self.view.leader if self.view else ""

    @property
    def managers(self) -> int:
        """The number of managers."""
        return sum((*self.seated.values(), *self.strange.values()))

    def leads(self, machine: str) -> bool:
        """Whether a machine counts for the majority."""
        return self.seated.get(machine, False) or self.strange.get(machine, False)

    def drains(self, action: Action) -> bool:
        """Whether a node runs no tasks while this is done to it. One that its managers miss cannot be drained."""
        if action.subject not in self.seated or action.subject in self.vacant:
            return False
        return not self.misses(action) and (action.interrupts or action.kind in _LEAVING)

    def misses(self, action: Action) -> bool:
        """Whether a machine does not answer us, and its Swarm misses it as well: nothing more is taken away from it.

        A node that its managers list as ready runs tasks, and counts for the majority, whether it answers us or not.
        """
        if not isinstance(action.payload, payloads.Replace | payloads.Remove | payloads.Move):
            return False
        node = self.view.node_of(action.subject) if self.view else None
        return action.payload.lost and (node is None or not node.ready)


def nodes_of(records: Iterable[str], known: Observed) -> Nodes:
    """Return the nodes among these machines."""
    seated: dict[str, bool] = {}
    strange: dict[str, bool] = {}
    vacant: set[str] = set()
    for name in records:
        node = known.view.node_of(name) if known.view else None
        finding = known.findings.get(name)
        if node is not None:
            seated[name] = node.is_manager
            vacant.update([name] if finding is not None and finding.vacant else [])
        elif finding is not None and finding.node.state == _ACTIVE:
            strange[name] = finding.node.control
    return Nodes(known.view, seated, strange, frozenset(vacant))


def members_of(records: Mapping[str, Machine]) -> frozenset[str]:
    """Return the names of the machines that are Swarm members on record."""
    return frozenset(name for name, machine in records.items() if machine.swarm is not None)


def outage(actions: Sequence[Action], nodes: Nodes) -> tuple[str, ...]:
    """Describe the outage that a plan's restarts cause in any order, and what is not drained."""
    away = [action for action in actions if action.interrupts and action.subject in nodes]
    names = list(dict.fromkeys(action.subject for action in away if nodes.leads(action.subject)))
    count = nodes.view.quorum.managers if nodes.view else sum(nodes.strange.values())
    told = [_without_quorum(names, count)] if names and 0 < count < RAFT_LEAST else []
    if undrained := list(dict.fromkeys(action.subject for action in away if action.subject in nodes.strange)):
        told.append(
            f"{_listed(undrained)}: in a Swarm that is not on record, so it is not drained before; "
            "`swarm:` in the inventory records it"
        )
    return tuple(told)


def _without_quorum(names: Sequence[str], count: int) -> str:
    managers = "1 manager" if count == 1 else f"{count} managers"
    each = "is" if len(names) == 1 else "are, one after the other,"
    return (
        f"the Swarm has {managers}: while {_listed(names)} {each} away it has no quorum and cannot be changed; "
        "tasks on other nodes continue to run"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
