"""Getting hold of engines: a machine's own, and that of a manager which can change the Swarm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pymachine.errors import CheckFailed, EngineError, Interrupted, PymachineError, QuorumLost
from pymachine.interruption import stopped
from pymachine.model import Endpoint, Machine, Phase
from pymachine.parallel import together
from pymachine.steps.power import at_work
from pymachine.steps.renewal import client_folder
from pymachine.steps.services import Services
from pymachine.steps.session import Session
from pymachine.store import readable
from pymachine.swarm_api.protocol import LOCKED, PENDING, ClusterEngine, NodeStatus
from pymachine.swarm_api.recorder import recorded
from pymachine.swarm_api.view import MACHINE_LABEL, MANAGER, Quorum, SwarmNode, quorum_of

UNLOCK_KEY = "swarm-unlock-key"  # among a manager's secrets; empty where its Swarm does not lock itself

DEADLINE = 60.0  # seconds for one answer: an engine itself waits 20 for others before it gives up
JOIN_PATIENCE = 120.0
START_PATIENCE = 15.0  # seconds for a manager that restarted to find the others
PAUSE = 0.5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Control:
    """A manager that can change the Swarm: its ``engine``, whose machine it is, and the ``cluster``'s id."""

    engine: ClusterEngine
    machine: str
    cluster: str

    def nodes(self) -> tuple[SwarmNode, ...]:
        """Return all nodes."""
        return self.engine.nodes()

    def quorum(self) -> Quorum:
        """Return the managers, counted."""
        return quorum_of(self.nodes())

    def find(self, node: str) -> SwarmNode | None:
        """Return a node by its id, or None."""
        return next((found for found in self.nodes() if found.id == node), None)

    def get(self, machine: Machine) -> SwarmNode:
        """Return a machine's node. Raises ``CheckFailed`` where it has none in this Swarm."""
        node = next((node for node in self.nodes() if is_node_of(machine, node)), None)
        if node is None:
            raise CheckFailed(
                f"{machine.name} is not a node of the Swarm of {self.machine}",
                hint=f"`pymachine swarm join --to {self.machine} {machine.name}` adds it",
            )
        return node


def is_node_of(machine: Machine, node: SwarmNode) -> bool:
    """Whether a node is this machine; by the id on record, or by our label where the record lost it."""
    if machine.swarm is not None:
        return machine.swarm.node == node.id
    return node.labels.get(MACHINE_LABEL) == machine.id


def engine_of(machine: Machine, tools: Services) -> ClusterEngine:
    """Connect to a machine's engine. Raises ``CheckFailed`` for one that is not ready."""
    if machine.phase is not Phase.READY or machine.endpoint is None:
        raise CheckFailed(
            f"machine {machine.name} is not ready ({machine.phase})",
            hint="run its create command again first",
        )
    return tools.connect_cluster(machine.endpoint, client_folder(machine, tools), deadline=DEADLINE)


@contextmanager
def member_at_work(name: str, verb: str, tools: Services) -> Iterator[tuple[Session, Machine]]:
    """Hold the machine's lease and note the verb in the journal; lend the record as it is then.

    What is changed of a Swarm by the session's own tools counts as touched.
    """
    machine = tools.store.get(name)
    with at_work(machine, f"swarm {verb}", tools.driver_of(machine), tools) as (session, current):

        def connect(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> ClusterEngine:
            return recorded(tools.connect_cluster(endpoint, folder, deadline=deadline), touch)

        def touch() -> None:
            session.touched = True

        session.tools = replace(tools, connect_cluster=connect)
        yield session, current


@contextmanager
def control(tools: Services, via: Sequence[str], *, unlock: bool = True, last: str = "") -> Iterator[Control]:
    """Lend the first of these managers that has a majority; ``last`` is asked when no other one can.

    One that waits to be unlocked is unlocked where the store has the key. Raises ``QuorumLost`` where those that
    answer have no majority, ``CheckFailed`` where none is a manager, ``EngineError`` where none answers.
    """
    if not via:
        raise CheckFailed(
            "no manager of this Swarm is on record",
            hint="`pymachine swarm join --to MANAGER MANAGER` records a machine that is already a manager",
        )
    first, *others = [*(name for name in dict.fromkeys(via) if name != last), *([last] if last in via else [])]

    def attempt(name: str) -> Control | PymachineError:
        try:
            return _controlled(tools.store.get(name), tools, unlock=unlock)
        except PymachineError as error:
            return error

    tried = {first: attempt(first)}
    if isinstance(tried[first], PymachineError):
        tried |= together(others, attempt)
    found = [one for one in tried.values() if isinstance(one, Control)]
    for beside in found[1:]:
        beside.engine.close()
    if not found:
        raise _out_of_control({name: one for name, one in tried.items() if isinstance(one, PymachineError)})
    with found[0].engine:
        yield found[0]


def managers_of(cluster: str, tools: Services) -> list[str]:
    """Return the names of the machines that are on record as managers of a Swarm."""
    return [m.name for m in members_of(cluster, tools) if m.swarm is not None and m.swarm.role == MANAGER]


def members_of(cluster: str, tools: Services) -> list[Machine]:
    """Return the machines that are on record as members of a Swarm."""
    return [
        machine for machine in readable(tools.store) if machine.swarm is not None and machine.swarm.cluster == cluster
    ]


def via_of(machine: Machine, via: Sequence[str], tools: Services) -> list[str]:
    """Return the managers to ask about a machine: those given, else those on record. Raises ``CheckFailed``."""
    if via:
        return list(via)
    if machine.swarm is None:
        raise CheckFailed(
            f"{machine.name} is not a Swarm member",
            hint=f"`pymachine swarm join --to MEMBER {machine.name}` adds it",
        )
    found = managers_of(machine.swarm.cluster, tools)
    if not found:
        raise CheckFailed(
            f"no manager of the Swarm of {machine.name} is on record",
            hint="`pymachine swarm join --to MANAGER MANAGER` records a machine that is already a manager",
        )
    return found


def joined_state(
    engine: ClusterEngine, machine: Machine, tools: Services, *, patience: float = JOIN_PATIENCE
) -> NodeStatus:
    """Return the engine's place once it is not on its way into a Swarm any more; unlocked, if the key is known.

    A manager that restarts without a majority is on its way for ever: after ``patience`` seconds it is told as it is.
    """
    status = unlocked(engine, machine, tools)
    for passed in tools.clock.ticks(patience, PAUSE):
        if passed:
            status = engine.node_status()
        if status.state != PENDING:
            break
    return status


def unlocked(engine: ClusterEngine, machine: Machine, tools: Services) -> NodeStatus:
    """Return the engine's place, unlocked if it was locked. Raises ``EngineError`` where no key on record fits."""
    status = engine.node_status()
    if status.state != LOCKED:
        return status
    if not _unlock(engine, machine, tools):
        raise EngineError(
            f"{machine.name} is locked, and no key on record unlocks it",
            hint="`pymachine swarm unlock --key-stdin` reads the key from standard input",
        )
    tools.reporter.notice(machine.name, "its Swarm was locked after a restart: unlocked with the key in the store")
    return awaited(tools, lambda: _beyond_lock(engine), f"{machine.name} to rejoin the Swarm")


def keys_for(machine: Machine, tools: Services) -> list[str]:
    """Return the keys that may unlock a machine: its own, then those of the other managers of its Swarm."""
    cluster = machine.swarm.cluster if machine.swarm else ""
    names = [machine.name, *(managers_of(cluster, tools) if cluster else ())]
    found = (tools.store.secrets(name).get(UNLOCK_KEY, b"").decode() for name in names)
    return [key for key in dict.fromkeys(found) if key]


def awaited(
    tools: Services,
    find: Callable[[], T | None],
    what: str,
    *,
    patience: float = JOIN_PATIENCE,
    hint: str | None = None,
) -> T:
    """Look every half second until there is something, and return it. Raises ``EngineError`` after ``patience`` s."""
    for _ in tools.clock.ticks(patience, PAUSE):
        if (found := find()) is not None:
            return found
        if stopped(tools):
            raise Interrupted(f"interrupted while waiting for {what}", hint="run the command again to continue")
    raise EngineError(f"timed out after {patience:.0f} s waiting for {what}", hint=hint)


def addresses_of(machines: Iterable[Machine]) -> list[str]:
    """Return every address by which these machines are known."""
    return [
        address
        for machine in machines
        for address in (*machine.addresses, *([machine.endpoint.host] if machine.endpoint else []))
    ]


def _controlled(machine: Machine, tools: Services, *, unlock: bool) -> Control:
    engine = engine_of(machine, tools)
    try:
        return Control(engine, machine.name, _cluster_of(engine, machine, tools, unlock=unlock))
    except BaseException:
        engine.close()
        raise


def _cluster_of(engine: ClusterEngine, machine: Machine, tools: Services, *, unlock: bool) -> str:
    """Return the id of the Swarm that the engine manages with a majority; it is asked why if it does not."""
    try:
        return engine.cluster().id
    except QuorumLost:
        raise
    except EngineError:
        status = joined_state(engine, machine, tools, patience=START_PATIENCE) if unlock else engine.node_status()
    if not status.control:
        raise CheckFailed(_no_manager(machine, status), hint="`pymachine swarm status` shows the managers")
    return engine.cluster().id


def _no_manager(machine: Machine, status: NodeStatus) -> str:
    if status.state == LOCKED:
        return f"{machine.name} is locked"
    trouble = f": {status.trouble}" if status.trouble else ""
    return f"{machine.name} is not a Swarm manager (its engine is {status.state}{trouble})"


def _out_of_control(errors: dict[str, PymachineError]) -> PymachineError:
    """Of several reasons, the one that says most of the Swarm as a whole."""
    lost = next((error for error in errors.values() if isinstance(error, QuorumLost)), None)
    if lost is not None:
        return lost
    if len(errors) == 1:
        return next(iter(errors.values()))
    told = "".join(f"\n  {name}: {error.message}" for name, error in errors.items())
    if all(isinstance(error, CheckFailed) for error in errors.values()):
        return CheckFailed(f"none of these is a manager that can change the Swarm:{told}")
    return EngineError(f"no manager of the Swarm can be reached:{told}", hint="`pymachine ls` shows which are on")


def _unlock(engine: ClusterEngine, machine: Machine, tools: Services) -> bool:
    for key in keys_for(machine, tools):
        try:
            engine.unlock(key)
        except EngineError:
            continue
        return True
    return False


def _beyond_lock(engine: ClusterEngine) -> NodeStatus | None:
    status = engine.node_status()
    return None if status.state == LOCKED else status
