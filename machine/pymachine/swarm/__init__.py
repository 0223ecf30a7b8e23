"""``pymachine swarm``: machines that exist become members of a Swarm, change their part in it, and leave it.

Each verb is for one machine, holds its lease, notes itself in the journal, and can be given again at any time: it
goes on from what the cluster says. ``via`` names machines that are managers of the Swarm meant; without it those on
record as managers of the machine's own Swarm are asked. All raise ``CheckFailed`` before anything was changed where a
rule of the Swarm forbids it (a last manager, a majority, another cluster), ``QuorumLost`` where nothing can be
changed at all, and ``Unreachable``, ``TlsError``, ``EngineError`` as engines do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pymachine.cluster.seam import Rotation
from pymachine.cluster.view import ClusterView
from pymachine.inventory.model import NodeSpec, SwarmSpec
from pymachine.model import Machine
from pymachine.steps.tools import Tools


def init(name: str, spec: SwarmSpec, node: NodeSpec, tools: Tools, *, peers: Sequence[str] = ()) -> Machine:
    """Make the machine the first manager of a new Swarm, or see that it is; return its record.

    ``peers`` are machines that are to join: their addresses tell which of its own the machine tells them, and which
    networks are taken. A key that unlocks the managers is in the store before anything else is done.
    """
    raise NotImplementedError


def join(name: str, node: NodeSpec, tools: Tools, *, via: Sequence[str]) -> Machine:
    """Make the machine a node of the Swarm whose managers ``via`` are; return its record.

    One that is a node of it already is brought to what ``node`` says; one of another Swarm is refused. Managers are
    to join one after another, workers may do so at once.
    """
    raise NotImplementedError


def adjust(name: str, node: NodeSpec, tools: Tools, *, via: Sequence[str] = ()) -> Machine:
    """Give a node the role, the availability and the labels of ``node``; return the machine's record.

    Labels that an earlier call set and that are not in ``node`` go, those of others stay.
    """
    raise NotImplementedError


def change(name: str, tools: Tools, *, role: str | None = None, availability: str | None = None) -> Machine:
    """Promote, demote, drain, pause or activate a node, and leave the rest as it is; return the machine's record."""
    raise NotImplementedError


def label(name: str, tools: Tools, *, put: Mapping[str, str], drop: Sequence[str] = ()) -> Machine:
    """Set labels of a node and take others off, leaving the rest; return the machine's record."""
    raise NotImplementedError


def leave(
    name: str, tools: Tools, *, via: Sequence[str] = (), force: bool = False, dissolve: bool = False
) -> Machine:
    """Take the machine out of its Swarm: drained, demoted, left, down, forgotten; return its record.

    ``force`` goes on without an engine that does not answer, which is a member until it is seen again.
    ``dissolve`` lets the last manager go, and the Swarm with it.
    """
    raise NotImplementedError


def remove_node(node: str, tools: Tools, *, via: Sequence[str]) -> None:
    """Forget a node by its id whose machine is gone: demoted first if it is a manager, once it is seen down."""
    raise NotImplementedError


def update(spec: SwarmSpec, tools: Tools, *, via: Sequence[str]) -> None:
    """Give a Swarm the settings of ``spec`` that can be changed (autolock, history, certificates, heartbeat)."""
    raise NotImplementedError


def rotate(rotation: Rotation, tools: Tools, *, via: Sequence[str]) -> None:
    """Make tokens, the unlock key or the certificate authority anew; a new key is stored with every manager."""
    raise NotImplementedError


def unlock(name: str, tools: Tools) -> bool:
    """Unlock a manager that restarted, with the key in the store; return whether it was locked."""
    raise NotImplementedError


def status(tools: Tools, names: Sequence[str] = ()) -> ClusterView:
    """Look at the Swarm of these machines, or at the one that the store knows of. Changes and locks nothing.

    Raises ``CheckFailed`` where no machine is a member, or where they are members of several.
    """
    raise NotImplementedError


@contextmanager
def drained(name: str, tools: Tools, *, via: Sequence[str] = ()) -> Iterator[None]:
    """Have the node run no tasks in the block, then wait until it takes part again and give it back its availability.

    A manager is refused where the others would be no majority without it. If the block is never left, the next call
    still knows the availability of before. The machine's lease is free in the block, for other verbs.
    """
    raise NotImplementedError
    yield


def upgrade(name: str, tools: Tools, *, version: str | None = None, via: Sequence[str] = ()) -> Machine:
    """Upgrade the engine of one node, drained meanwhile; return the machine's record. Leaders are to come last."""
    raise NotImplementedError


def recover(tools: Tools, names: Sequence[str] = (), *, survivor: str | None = None) -> ClusterView:
    """Make a Swarm whose managers have lost their majority work again around ``survivor``; return how it looks then.

    Refused while a majority is there. Managers that are lost are forgotten, those that answer join anew.
    """
    raise NotImplementedError
