"""What a Swarm allows without losing the majority of its managers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pymachine.errors import CheckFailed
from pymachine.swarm_api.protocol import NodeStatus
from pymachine.swarm_api.view import RAFT_LEAST, Quorum, SwarmNode


def refuse_live_restore(name: str, status: NodeStatus) -> None:
    """Refuse an engine that keeps containers up while it restarts: as a member it would not start again."""
    if status.live_restore:
        raise CheckFailed(
            f"the engine of {name} has live-restore on, which a Swarm node cannot have",
            hint=f"`pymachine provision --engine-opt live-restore=false {name}` turns it off",
        )


def may_go(name: str, node: SwarmNode, quorum: Quorum) -> None:
    """Refuse to make a manager none any more where the others would be no majority without it."""
    if not node.is_manager:
        return
    if quorum.managers == 1:
        raise CheckFailed(
            f"{name} is the last manager of its Swarm",
            hint="promote another node first; `pymachine swarm leave --dissolve` ends the Swarm",
        )
    left = quorum.without(reachable=node.reachable)
    if not left.holds:
        raise CheckFailed(
            f"without {name} the Swarm would lose its quorum: {left.reachable} of {left.managers} managers "
            f"would answer, {left.needed} must",
            hint="start the managers that do not answer, or promote another node first",
        )


def may_rest(name: str, node: SwarmNode, quorum: Quorum) -> None:
    """Refuse to take a manager down for a while where the others are no majority meanwhile.

    One or two managers never are: there nothing can be changed while one of them is down, and services run on.
    """
    if not node.is_manager or quorum.managers < RAFT_LEAST:
        return
    if not quorum.during_absence([node]).holds:
        raise CheckFailed(
            f"while {name} is down the Swarm would have no quorum: {quorum.reachable} of {quorum.managers} managers "
            f"answer, {quorum.needed} must",
            hint="start the managers that do not answer first",
        )


def may_be_away(nodes: Mapping[str, SwarmNode], quorum: Quorum, way_on: str = "") -> None:
    """Refuse to take nodes away together, given by the names of their machines, where the rest has no majority.

    As for ``may_rest``, one or two managers never are; what is lost already cannot be lost by this.
    """
    left = quorum.during_absence(nodes.values())
    if quorum.managers < RAFT_LEAST or not quorum.holds or left.holds:
        return
    names = ", ".join(name for name, node in nodes.items() if node.is_manager and node.reachable)
    raise CheckFailed(
        f"without {names} the Swarm would lose its quorum: {left.reachable} of {left.managers} managers "
        f"would answer, {left.needed} must",
        hint="; ".join(filter(None, ("start the managers that do not answer first", way_on))),
    )
