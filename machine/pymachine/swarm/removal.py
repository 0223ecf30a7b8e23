"""Machines that are removed although they are nodes of a Swarm: what it loses is counted and said before.

A removed machine does not leave its Swarm. Its node stays in the list, where a manager counts for the majority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pymachine.engine.effects import Aspect, Change, Effect
from pymachine.errors import PymachineError, QuorumLost
from pymachine.events import Silent
from pymachine.model import Machine
from pymachine.remove import Removal, preview_remove, remove
from pymachine.steps.preview import Preview
from pymachine.steps.services import Services
from pymachine.store import readable
from pymachine.swarm.absence import await_seen_away, nodes_of
from pymachine.swarm.control import is_node_of
from pymachine.swarm.quorum_lease import quorum_held_for
from pymachine.swarm_api.view import MANAGER, Quorum, quorum_of


@dataclass(frozen=True, slots=True)
class SwarmLoss:
    """What a Swarm loses with a machine. ``goes`` is false if its host stays, and with it the engine and the node.

    ``left`` are the managers after the removal of all machines of one command, those removed among those that do not
    answer; None if ``unasked`` says why nobody could be asked.
    """

    machine: str
    role: str
    goes: bool
    left: Quorum | None
    unasked: str = ""
    ends: bool = False
    lost_before: bool = False

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effect on the quorum, if any."""
        if not self.goes or self.role != MANAGER or self.lost_before:
            return ()
        if self.left is None:
            return (Effect.MAY_LOSE_QUORUM,)
        return () if self.left.holds else (Effect.LOSE_QUORUM,)

    @property
    def change(self) -> Change:
        """The loss as a change of a dry run."""
        return Change("take it away from its Swarm", self.in_words(), Aspect.HOST, self.effects)

    def in_words(self) -> str:
        """Return what happens to the Swarm, for people."""
        if not self.goes:
            return f"it stays a {self.role}, which is no longer on record: `pymachine swarm leave` first"
        if self.ends:
            return "no node of its Swarm is left, and its services and their data end"
        stays = f"it stays in the node list as a {self.role} that is down"
        if self.role != MANAGER:
            return stays
        if self.lost_before:
            return f"{stays}; the quorum is lost already"
        if self.left is None:
            return f"{stays}; whether the others keep the quorum could not be asked: {self.unasked}"
        return f"{stays}; {self.left.in_words()}"


def losses(names: Sequence[str], tools: Services, *, purge: bool = False) -> dict[str, SwarmLoss]:
    """Return what Swarms lose with machines that are removed together, by machine. Changes and tells nothing."""
    members: dict[str, list[Machine]] = {}
    for machine in readable(tools.store):
        if machine.name in names and machine.swarm is not None:
            members.setdefault(machine.swarm.cluster, []).append(machine)
    quiet = replace(tools, reporter=Silent())
    found: dict[str, SwarmLoss] = {}
    for cluster, group in members.items():
        going = [machine for machine in group if purge or not _stays(machine, tools)]
        found |= _losses(cluster, group, going, quiet)
    return found


def preview_removal(name: str, tools: Services, loss: SwarmLoss | None, *, force: bool, purge: bool) -> Preview:
    """Return what ``remove_machine`` would do. Raises as it would without ``force``."""
    preview = preview_remove(name, tools, force=force, purge=purge)
    return preview if loss is None else replace(preview, changes=(loss.change, *preview.changes))


def remove_machine(
    name: str, tools: Services, loss: SwarmLoss | None, *, force: bool = False, purge: bool = False
) -> Removal:
    """Remove a machine as ``remove`` does, and tell its ``loss`` first, under the lease on the managers."""
    if loss is None or not force:
        return remove(name, tools, force=force, purge=purge)
    machine = tools.store.get(name)
    with quorum_held_for(name, "removal of manager", tools):
        tools.reporter.notice(name, loss.in_words())
        removal = remove(name, tools, force=force, purge=purge)
        if loss.goes and loss.role == MANAGER and loss.left is not None and loss.left.holds:
            await_seen_away(machine, tools)
    return removal


def _losses(
    cluster: str, group: Sequence[Machine], going: Sequence[Machine], tools: Services
) -> Mapping[str, SwarmLoss]:
    try:
        nodes = nodes_of(cluster, tools, [machine.name for machine in going])
    except QuorumLost:
        return {m.name: SwarmLoss(m.name, _role(m), m in going, None, lost_before=True) for m in group}
    except PymachineError as error:
        return {m.name: SwarmLoss(m.name, _role(m), m in going, None, error.message) for m in group}
    away = [node for node in nodes if any(is_node_of(machine, node) for machine in going)]
    left = quorum_of(nodes).during_absence(away)
    return {m.name: SwarmLoss(m.name, _role(m), m in going, left, ends=len(away) == len(nodes)) for m in group}


def _role(machine: Machine) -> str:
    return machine.swarm.role if machine.swarm else ""


def _stays(machine: Machine, tools: Services) -> bool:
    try:
        return tools.driver_of(machine).preexisting
    except PymachineError:
        return True  # without its driver only the record goes
