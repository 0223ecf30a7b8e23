"""The state of a Swarm: its nodes, their machines, and whether its managers have a majority. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Labels that pymachine puts on the nodes of its machines.
MACHINE_LABEL = "pymachine.machine"  # the id of the machine
KEYS_LABEL = "pymachine.labels"  # the labels that were asked for, so that those no longer wanted can go
DRAINED_LABEL = "pymachine.drained"  # the availability of before, while a node is drained for a while
OWN_LABELS = (MACHINE_LABEL, KEYS_LABEL, DRAINED_LABEL)

MANAGER = "manager"
WORKER = "worker"
RAFT_LEAST = 3  # managers, of which one may be away


@dataclass(frozen=True, slots=True)
class SwarmNode:
    """A node as a manager lists it.

    ``role`` is the one that is wanted: a node that is demoted has a ``manager_address`` until it is none any more.
    ``state`` is ``ready``, ``down``, ``unknown`` or ``disconnected``; ``availability`` is ``active``, ``pause`` or
    ``drain``. ``reachable`` and ``leader`` are said of managers. ``engine`` is the engine's version.
    """

    id: str
    hostname: str
    role: str = WORKER
    availability: str = "active"
    state: str = "ready"
    address: str = ""
    engine: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    manager_address: str = ""
    reachable: bool = False
    leader: bool = False

    @property
    def is_manager(self) -> bool:
        """Whether it counts for the majority, also if it is being demoted."""
        return bool(self.manager_address)

    @property
    def ready(self) -> bool:
        """Whether it is available in its role."""
        return self.state == "ready" and (self.reachable or self.role == WORKER)

    @property
    def user_labels(self) -> dict[str, str]:
        """The labels without those that are reserved for pymachine."""
        return {key: value for key, value in self.labels.items() if key not in OWN_LABELS}


@dataclass(frozen=True, slots=True)
class Quorum:
    """The number of managers, and of those that answer each other."""

    managers: int
    reachable: int

    @property
    def needed(self) -> int:
        """The majority, without which nothing in the Swarm can be changed."""
        return self.managers // 2 + 1

    @property
    def holds(self) -> bool:
        """Whether a majority answers."""
        return self.managers > 0 and self.reachable >= self.needed

    @property
    def spare(self) -> int:
        """How many of the answering managers may fail before the majority is lost."""
        return max(self.reachable - self.needed, 0)

    def without(self, *, reachable: bool) -> Quorum:
        """Return the quorum after a manager leaves permanently, one that answers or one that does not."""
        return Quorum(self.managers - 1, self.reachable - reachable)

    def during_absence(self, nodes: Iterable[SwarmNode]) -> Quorum:
        """Return the quorum while these nodes do not answer, which stay in the list."""
        return Quorum(self.managers, self.reachable - sum(node.is_manager and node.reachable for node in nodes))

    def in_words(self) -> str:
        """Return a sentence for the user."""
        if not self.holds:
            return f"{self.reachable} of {self.managers} managers answer, {self.needed} must: the quorum is lost"
        if self.managers == 1:
            return (
                "1 manager: if it fails, nothing can be changed until it is back; "
                "use 3 managers to survive the loss of one"
            )
        told = f"{self.reachable} of {self.managers} managers answer, {_may_fail(self.spare)}"
        return told if self.managers % 2 else f"{told}; {self._advice()}"

    def _advice(self) -> str:
        fewer, more = self.managers - 1, self.managers + 1
        return f"{self.managers} managers survive no more losses than {fewer}; {more} survive one more"


def _may_fail(spare: int) -> str:
    return f"{spare} more may fail" if spare else "none may fail"


@dataclass(frozen=True, slots=True)
class Member:
    """A node, and the name of its machine; empty if no machine of the store is that node."""

    machine: str
    node: SwarmNode


@dataclass(frozen=True, slots=True)
class ClusterView:
    """One look at a Swarm.

    ``id`` is the cluster's. ``spoken_to`` names the machine that told, empty where no manager could: ``members`` is
    empty then and ``trouble`` says why, ``lost`` if there is no majority. ``missing`` are machines that
    are members by their record and that no node is; ``locked`` and ``silent`` are managers by their record that wait
    to be unlocked, and that do not answer from here.
    """

    id: str
    members: tuple[Member, ...] = ()
    spoken_to: str = ""
    autolock: bool = False
    missing: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    lost: bool = False
    trouble: str = ""

    @property
    def nodes(self) -> tuple[SwarmNode, ...]:
        """All nodes."""
        return tuple(member.node for member in self.members)

    @property
    def quorum(self) -> Quorum:
        """The quorum of the managers."""
        return quorum_of(self.nodes)

    @property
    def quorum_lost(self) -> bool:
        """Whether nothing in the Swarm can be changed, also while a former leader still answers."""
        return self.lost or (bool(self.members) and not self.quorum.holds)

    @property
    def leader(self) -> str:
        """The name of the leader's machine, or of its host; empty if there is none."""
        return next((member.machine or member.node.hostname for member in self.members if member.node.leader), "")

    @property
    def strangers(self) -> tuple[SwarmNode, ...]:
        """The nodes without a machine in the store."""
        return tuple(member.node for member in self.members if not member.machine)

    @property
    def healthy(self) -> bool:
        """Whether every node is ready, a majority of managers answers and no machine is missing."""
        sound = all(node.ready for node in self.nodes) and self.quorum.holds
        return sound and not (self.missing or self.locked or self.silent)

    def node_of(self, machine: str) -> SwarmNode | None:
        """Return a machine's node, or None."""
        return next((member.node for member in self.members if member.machine == machine), None)


def quorum_of(nodes: tuple[SwarmNode, ...]) -> Quorum:
    """Count the managers among the nodes."""
    managers = [node for node in nodes if node.is_manager]
    return Quorum(len(managers), sum(node.reachable for node in managers))


def wanted_labels(present: Mapping[str, str], wanted: Mapping[str, str], machine_id: str) -> dict[str, str]:
    """Return a node's labels with pymachine's as ``wanted``.

    Labels that were set before and are not wanted are removed.

    Labels that somebody else set stay, unless one of that name is wanted.
    """
    before = present.get(KEYS_LABEL, "").split()
    kept = {key: value for key, value in present.items() if key not in before and key != KEYS_LABEL}
    ours = {KEYS_LABEL: " ".join(sorted(wanted))} if wanted else {}
    return {**kept, MACHINE_LABEL: machine_id, **wanted, **ours}


def node_document(member: Member) -> dict[str, Any]:
    """Return a member as `swarm status --json` prints it."""
    node = member.node
    return {
        "machine": member.machine or None,
        "node": node.id,
        "hostname": node.hostname,
        "role": node.role,
        "availability": node.availability,
        "state": node.state,
        "leader": node.leader,
        "reachable": node.reachable if node.is_manager else None,
        "address": node.address,
        "engine": node.engine,
        "labels": node.user_labels,
    }
