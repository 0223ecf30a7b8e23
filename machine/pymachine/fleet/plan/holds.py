"""Restarts that are held back or omitted because they would take the Swarm's majority away. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pymachine.fleet.plan import payloads
from pymachine.fleet.plan.action_kinds import ActionKind
from pymachine.fleet.plan.actions import Action, Refusal
from pymachine.fleet.plan.nodes import Nodes
from pymachine.swarm_api.view import MANAGER, RAFT_LEAST

Found = Mapping[str, tuple[Action, ...]]


@dataclass(frozen=True, slots=True)
class Held:
    """What is left of a plan; ``partial`` says that held-back actions appear in the next plan."""

    actions: Found
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    partial: bool = False


def held_back(found: Found, nodes: Nodes, members: frozenset[str]) -> Held:
    """Hold back interruptions of nodes while their Swarm cannot be asked, or cannot spare a manager."""
    if nodes.view is None:
        return Held(found)
    if not nodes.view.spoken_to:
        if _comes(found, ActionKind.INIT):  # that Swarm is gone with its machines
            return Held(found)
        return _until_spoken_to(found, nodes, members)
    quorum = nodes.view.quorum
    if quorum.managers < RAFT_LEAST or quorum.spare or _manager_comes(found, nodes):
        return Held(found)
    return _until_spare(found, nodes)


def _until_spoken_to(found: Found, nodes: Nodes, members: frozenset[str]) -> Held:
    kept, gone = _without_interruptions(found, nodes, members)
    told = (f"restarted once the Swarm can be asked: {', '.join(gone)}",) if gone else ()
    return Held(kept, (), told, bool(gone))


def _until_spare(found: Found, nodes: Nodes) -> Held:
    """Hold back while all answering managers are needed: a manager that is off has to be started first."""
    assert nodes.view is not None
    managers = frozenset(
        member.machine for member in nodes.view.members if member.node.is_manager and member.node.reachable
    )
    kept, gone = _without_interruptions(found, nodes, managers)
    quorum = nodes.view.quorum
    if gone and _comes(found, ActionKind.START):
        return Held(kept, (), (f"restarted once all managers answer: {', '.join(gone)}",), partial=True)
    why = f"{quorum.reachable} of {quorum.managers} managers answer, {quorum.needed} must: none may be away"
    return Held(kept, tuple(Refusal(name, why, "start the managers that do not answer first") for name in gone))


def _comes(found: Found, *kinds: ActionKind) -> bool:
    return any(action.kind in kinds for actions in found.values() for action in actions)


def _manager_comes(found: Found, nodes: Nodes) -> bool:
    """Whether there will be one more that answers; one that is replaced has to go before it comes."""
    actions = (action for actions in found.values() if not _goes(actions, nodes) for action in actions)
    return any(
        action.kind is ActionKind.PROMOTE
        or (isinstance(action.payload, payloads.Join) and action.payload.role == MANAGER)
        for action in actions
    )


def _goes(actions: tuple[Action, ...], nodes: Nodes) -> bool:
    replaced = (action for action in actions if action.kind is ActionKind.REPLACE)
    return any(nodes.leads(action.subject) and not nodes.misses(action) for action in replaced)


def _without_interruptions(found: Found, nodes: Nodes, among: frozenset[str]) -> tuple[Found, list[str]]:
    """Omit interruptions, and what comes after them."""
    kept: dict[str, tuple[Action, ...]] = {}
    gone: list[str] = []
    for subject, actions in found.items():
        place = next((n for n, action in enumerate(actions) if _takes_away(action, nodes)), len(actions))
        if subject in among and place < len(actions):
            gone.append(subject)
        kept[subject] = actions[:place] if subject in among else actions
    return kept, gone


def _takes_away(action: Action, nodes: Nodes) -> bool:
    return action.interrupts and not nodes.misses(action)
