"""The order of actions, with barriers only where the quorum of a Swarm needs them. Pure.

The roles of managers change one after the other, in stages: dead ones are recreated and new ones join, workers are
promoted, live ones are replaced, engines restart (the leader's last), managers are demoted, leave and are removed. No
action waits for a later stage within its own chain, so there are no cycles. Workers join in parallel, their engines
restart in batches, and they are removed when the remaining ones are there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pymachine.fleet.plan import payloads
from pymachine.fleet.plan.action_kinds import ActionKind
from pymachine.fleet.plan.actions import Action, Chain
from pymachine.fleet.plan.nodes import Nodes
from pymachine.fleet.plan.payloads import Payload
from pymachine.swarm_api.view import MANAGER, RAFT_LEAST

_ARRIVALS = (ActionKind.INIT, ActionKind.JOIN, ActionKind.PROMOTE)
_DEPARTURES = (ActionKind.DEMOTE, ActionKind.LEAVE, ActionKind.REMOVE)
_LAST = (ActionKind.DEPLOY,)
# What a majority of the managers has to agree to, besides departures.
_AGREED = (ActionKind.JOIN, ActionKind.PROMOTE, ActionKind.ADJUST, ActionKind.SETTINGS, ActionKind.FORGET)

Links = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Batch:
    """How many workers may be without their engine at once: ``size``, or a percentage of those that restart.

    ``among`` are the names of the machines of the run, None for all: excluded machines leave no gap.
    """

    size: int = 1
    percent: bool = False
    among: Collection[str] | None = None

    def of(self, workers: int) -> int:
        """Return the number for this many workers that restart; at least 1."""
        return max(1, -(-workers * self.size // 100) if self.percent else self.size)

    def concerns(self, name: str) -> bool:
        """Whether a machine is part of the run."""
        return self.among is None or name in self.among


ONE_BY_ONE = Batch()


class ActionOrder:
    """Chains, and the needs and waits that are added to their actions."""

    def __init__(
        self,
        chains: Sequence[Chain],
        nodes: Nodes,
        managers: Iterable[str],
        batch: Batch = ONE_BY_ONE,
    ) -> None:
        self._chains = chains
        self._nodes = nodes
        self._managers = frozenset(managers)
        self._batch = batch
        self._needs: Links = {}
        self._waits: Links = {}

    def applied(self) -> tuple[Chain, ...]:
        """Return the chains with all barriers."""
        self._found()
        self._arrive_one_by_one()
        self._restart_in_turn()
        self._depart_last()
        self._deploy_last()
        return tuple(Chain(chain.subject, tuple(map(self._linked, chain.actions))) for chain in self._chains)

    def _actions(self, *kinds: ActionKind) -> list[Action]:
        return [action for chain in self._chains for action in chain.actions if action.kind in kinds]

    def _found(self) -> None:
        """A join needs an initialised Swarm."""
        founded = [action.id for action in self._actions(ActionKind.INIT)]
        for action in self._actions(ActionKind.JOIN, ActionKind.FORGET, ActionKind.SETTINGS):
            self._need(action, founded)

    def _arrive_one_by_one(self) -> None:
        """A manager that joins changes the majority, so the next one joins afterwards.

        A manager that is replaced leaves and joins within its own chain, so its whole chain takes its turn.
        """
        turns = sorted(filter(None, map(self._arrival, self._chains)), key=lambda turn: turn[0])
        for (_, _, before), (_, begins, _) in pairwise(turns):
            self._wait(begins, [before.id])

    def _arrival(self, chain: Chain) -> tuple[int, Action, Action] | None:
        """Return the turn of a chain, and its first and last actions."""
        arrivals = [action for action in chain.actions if self._is_arrival(action)]
        if not arrivals:
            return None
        replaced = [action for action in chain.actions if action.kind is ActionKind.REPLACE]
        stage = 2 if replaced else {ActionKind.INIT: -1, ActionKind.JOIN: 0}.get(arrivals[0].kind, 1)
        return stage, (replaced or arrivals)[0], arrivals[-1]

    def _is_arrival(self, action: Action) -> bool:
        return action.kind in _ARRIVALS and not _joins_as_worker(action.payload)

    def _restart_in_turn(self) -> None:
        """Restart engines of nodes: managers one at a time, where a failed one stops the rest, then workers."""
        rolling = [chain for chain in self._chains if self._restarts(chain)]
        managers = sorted(
            (c for c in rolling if self._rests_as_manager(c)), key=lambda c: c.subject == self._nodes.leader
        )
        workers = [chain for chain in rolling if chain not in managers]
        arrived = [action.id for action in self._actions(*_ARRIVALS) if self._is_arrival(action)]
        for chain in managers:
            begins, own = _restarts_of(chain)[0], {action.id for action in chain.actions}
            self._wait(begins, [name for name in arrived if name not in own])
        turns = [chain for chain in managers if self._batch.concerns(chain.subject)]
        for before, chain in pairwise(turns):
            self._need(_restarts_of(chain)[0], [_restarts_of(before)[-1].id])
        self._roll(workers, [_restarts_of(chain)[-1].id for chain in turns[-1:]])
        gone = [
            chain for chain in managers if _restarts_of(chain)[0].kind is ActionKind.REPLACE
        ]  # to be no manager again
        if self._nodes.managers - len(gone) < RAFT_LEAST:
            self._restart_alone(turns, rolling)

    def _restart_alone(self, managers: Sequence[Chain], rolling: Sequence[Chain]) -> None:
        """One or two managers cannot spare one: changes that need the Swarm's agreement come before or after."""
        others = [action for chain in self._chains if chain not in rolling for action in chain.actions]
        before = [action.id for action in others if action.kind in _AGREED]
        restarts = [action.id for chain in managers for action in _restarts_of(chain)]
        for place, chain in enumerate(managers):
            own = [action.id for other in managers[:place] for action in other.actions if action.kind in _AGREED]
            self._wait(_restarts_of(chain)[0], [*before, *own])
        for action in self._actions(*_DEPARTURES):
            self._wait(action, restarts)

    def _roll(self, workers: Sequence[Chain], managers: Sequence[str]) -> None:
        """Each worker waits for the one a batch before it, so that a slow one does not delay those beside it.

        A worker that is replaced and comes back as a manager takes its turn among the joining managers; it is away
        meanwhile.
        """
        concerned = [chain for chain in workers if self._batch.concerns(chain.subject)]
        size = self._batch.of(len(concerned))
        away = [_back(chain).id for chain in self._chains if self._returns_as_manager(chain)]
        for place, chain in enumerate(concerned):
            before = [_back(concerned[place - size]).id] if place >= size else managers
            self._wait(_restarts_of(chain)[0], [*before, *away])

    def _returns_as_manager(self, chain: Chain) -> bool:
        """Whether a worker is replaced and joins again as a manager."""
        worker = chain.subject in self._nodes and not self._nodes.leads(chain.subject)
        return worker and bool(_restarts_of(chain)) and not self._restarts(chain)

    def _restarts(self, chain: Chain) -> bool:
        """Whether a node's tasks have to move for the action."""
        if chain.subject not in self._nodes or not _restarts_of(chain):
            return False
        return _restarts_of(chain)[0].kind is not ActionKind.REPLACE or self._arrival(chain) is None

    def _rests_as_manager(self, chain: Chain) -> bool:
        promoted = any(action.kind is ActionKind.PROMOTE for action in chain.actions)
        return promoted or self._nodes.leads(chain.subject)

    def _depart_last(self) -> None:
        """Removals come when the remaining machines are there: managers one by one, if all joins succeeded."""
        going = [action for chain in self._chains for action in chain.actions if action.kind in _DEPARTURES]
        leading = [action for action in going if action.kind is ActionKind.DEMOTE or action.subject in self._managers]
        joins = [action.id for action in self._actions(*_ARRIVALS)]
        arrived = [action.id for action in self._actions(*_ARRIVALS) if self._is_arrival(action)]
        restarts = [action.id for chain in self._chains if self._restarts(chain) for action in _restarts_of(chain)]
        for action in going:
            self._wait(action, [*joins, *(restarts if action in leading else [])])
        for action in leading:
            self._need(action, arrived)
        for before, action in pairwise(leading):
            self._wait(action, [before.id])
        self._dissolve_last(going)

    def _dissolve_last(self, going: Sequence[Action]) -> None:
        """The last manager ends the Swarm, which it may only when no other node is left."""
        for action in going:
            if isinstance(action.payload, payloads.Remove) and action.payload.dissolve:
                members = [other for other in going if other is not action and _leaves(other.payload)]
                self._need(action, [other.id for other in members])

    def _deploy_last(self) -> None:
        """Stacks are deployed after the changes of machines, and removed before their machines."""
        stacks = self._actions(ActionKind.DEPLOY, ActionKind.WITHDRAW)
        others = [action.id for chain in self._chains for action in chain.actions if action not in stacks]
        founded = [action.id for action in self._actions(ActionKind.INIT)]
        withdrawn = [action.id for action in self._actions(ActionKind.WITHDRAW)]
        for action in self._actions(*_LAST):
            on = action.payload.on if isinstance(action.payload, payloads.Deploy) else ""
            own = [a.id for chain in self._chains if chain.subject == on for a in chain.actions]
            self._need(action, own if on else founded)
            self._wait(action, others)
        for action in self._actions(ActionKind.REMOVE):
            self._wait(action, withdrawn)

    def _need(self, action: Action, ids: Iterable[str]) -> None:
        self._needs[action.id] = (*self._needs.get(action.id, ()), *ids)

    def _wait(self, action: Action, ids: Iterable[str]) -> None:
        self._waits[action.id] = (*self._waits.get(action.id, ()), *ids)

    def _linked(self, action: Action) -> Action:
        needs = dict.fromkeys((*action.needs, *self._needs.get(action.id, ())))
        waits = dict.fromkeys((*action.waits, *self._waits.get(action.id, ())))
        return replace(
            action,
            needs=tuple(name for name in needs if name != action.id),
            waits=tuple(name for name in waits if name not in needs and name != action.id),
            drains=self._nodes.drains(action),
        )


def _joins_as_worker(payload: Payload) -> bool:
    return isinstance(payload, payloads.Join) and payload.role != MANAGER


def _leaves(payload: Payload) -> bool:
    return not isinstance(payload, payloads.Remove) or payload.member


def _restarts_of(chain: Chain) -> list[Action]:
    return [action for action in chain.actions if action.interrupts]


def _back(chain: Chain) -> Action:
    """Return the action after which a worker is available again; one that was replaced has to join first."""
    return [action for action in chain.actions if action.interrupts or action.kind is ActionKind.JOIN][-1]


def chained(parts: Mapping[str, Sequence[Action]]) -> tuple[Chain, ...]:
    """Return chains of these actions, without subjects that have none."""
    return tuple(Chain(subject, tuple(actions)) for subject, actions in parts.items() if actions)
