"""The lease on the managers of a Swarm, held while one of them is taken away or their number changes.

Counting the quorum is useless while another process may take another manager away after the same count. So processes
that use the same store take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from pymachine.errors import Interrupted, LeaseHeld
from pymachine.interruption import stopped
from pymachine.model import Machine
from pymachine.steps.services import Services
from pymachine.store import Holder
from pymachine.swarm.control import Control, control, is_node_of
from pymachine.swarm_api.view import MANAGER

PATIENCE = 900.0  # seconds; a drain, an engine's restart and the way back take some minutes
PAUSE = 1.0
STEP = "wait for the Swarm's other managers"


def lease_name(cluster: str) -> str:
    """Return the name of the lease on a Swarm's managers, which no machine can have."""
    return f"swarm:{cluster}"


def drain_lease(machine: str) -> str:
    """Return the name of the lease on a drained node, which no machine can have."""
    return f"drain:{machine}"


@contextmanager
def drain_held(machine: str, tools: Services) -> Iterator[None]:
    """Hold the lease on a node while it is drained. Raises ``LeaseHeld`` with its holder."""
    with ExitStack() as held:
        try:
            held.enter_context(tools.store.lease(drain_lease(machine), f"drain {machine}"))
        except LeaseHeld as error:
            holder = tools.store.holder(drain_lease(machine))
            raise _drained_by(machine, holder) if holder else error from None
        yield


@contextmanager
def quorum_held(cluster: str, machine: str, purpose: str, tools: Services) -> Iterator[None]:
    """Hold the lease while a manager, ``machine``, is away; wait for another holder.

    Raises ``LeaseHeld`` with the holder after 15 minutes; ``Interrupted`` if the work is stopped meanwhile.
    """
    with ExitStack() as held:
        _taken(held, lease_name(cluster), machine, purpose, tools)
        yield


def quorum_held_for(name: str, purpose: str, tools: Services) -> AbstractContextManager[None]:
    """Return the context that holds the lease if a machine is a manager on record, and does nothing otherwise."""
    machine = tools.store.find(name)
    if machine is None or machine.swarm is None or machine.swarm.role != MANAGER:
        return nullcontext()
    return quorum_held(machine.swarm.cluster, name, purpose, tools)


@contextmanager
def managers_held(
    machine: Machine, purpose: str, takes: Callable[[Control], bool], tools: Services, via: Sequence[str]
) -> Iterator[Control]:
    """Yield a manager as ``control`` does, with the lease held if ``takes`` says that the number of managers changes.

    The manager is chosen after the wait, because the one before may have changed.
    """
    with control(tools, via, last=machine.name) as manager:
        cluster = manager.cluster if takes(manager) else ""
        if not cluster:
            yield manager
    if cluster:
        with (
            quorum_held(cluster, machine.name, purpose, tools),
            control(tools, via, last=machine.name) as manager,
        ):
            yield manager


def leads(machine: Machine, manager: Control) -> bool:
    """Whether a machine is a manager of this Swarm now."""
    return any(node.is_manager and is_node_of(machine, node) for node in manager.nodes())


def _taken(held: ExitStack, lease: str, machine: str, purpose: str, tools: Services) -> None:
    waiting = False
    for _ in tools.clock.ticks(PATIENCE, PAUSE):
        try:
            held.enter_context(tools.store.lease(lease, f"{purpose} {machine}"))
            break
        except LeaseHeld as error:
            holder, failure = tools.store.holder(lease), error
        if not waiting:
            tools.reporter.started(machine, STEP)
            if holder:
                tools.reporter.notice(machine, f"waits for {_who(holder)}")
        waiting = True
        if stopped(tools):
            raise Interrupted(f"interrupted before {purpose} of {machine}", hint="run the command again to continue")
    else:
        raise _held(holder) if holder else failure
    if waiting:
        tools.reporter.finished(machine, STEP)


def _who(holder: Holder) -> str:
    return f"{holder.user}@{holder.host}, process {holder.pid} ({holder.purpose}), since {holder.since}"


def _drained_by(machine: str, holder: Holder) -> LeaseHeld:
    return LeaseHeld(
        f"machine {machine} is drained by {_who(holder)}",
        hint="wait for it to end; if it hangs, end it there, or break its lock with --force-unlock",
        lease=holder.name,
    )


def _held(holder: Holder) -> LeaseHeld:
    return LeaseHeld(
        f"a manager of the same Swarm is in use by {_who(holder)}: two at once could lose its quorum",
        hint="wait for it to end; if it hangs, end it there, or break its lock with --force-unlock",
        lease=holder.name,
    )
