"""Waits after a deploy until all parts of a stack run as requested, or a deadline has passed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pymachine.errors import EngineError, Interrupted, PymachineError, Unreachable
from pymachine.fleet.inventory.model import StackSpec
from pymachine.model import Machine
from pymachine.steps.renewal import client_folder
from pymachine.steps.services import Services
from pymachine.swarm_api.containers import Container, unsettled_in
from pymachine.swarm_api.protocol import ClusterEngine
from pymachine.swarm_api.services import Replicas, Service, unsettled_of

STABLE = 5.0  # seconds that tasks have to run: as long as the docker client itself looks
PAUSE = 1.0
ANSWER = 20.0  # seconds for one answer
LINES = 5  # of a log
STEP = "wait for the services"

Part = Service | Container
Look = Callable[[ClusterEngine], Sequence[Part]]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack: its ``services`` by name, and the ``machine`` to ask, a manager or its own."""

    stack: StackSpec
    services: Mapping[str, Replicas]
    machine: Machine

    def unsettled(self, engine: ClusterEngine) -> Sequence[Part]:
        """Return the parts that are not as they should be."""
        name = self.stack.name
        if self.stack.on:
            return unsettled_in(name, self.services, engine.containers(name))
        return unsettled_of(name, self.services, engine.services(name))


def converge(made: Deployment, tools: Services, stopped: Callable[[], bool]) -> None:
    """Wait until all parts of a stack are as requested, at most ``wait`` seconds of the stack; not at all for 0.

    Raises ``PymachineError`` with the parts that are not, each with its last error and the last lines of its log;
    ``Interrupted`` if ``stopped``.
    """
    stack, machine = made.stack, made.machine
    if not stack.wait:
        return
    assert machine.endpoint is not None
    folder = client_folder(machine, tools)
    with tools.connect_cluster(machine.endpoint, folder, deadline=ANSWER) as engine:
        unsettled = _awaited(made, engine, tools, stopped)
        if unsettled:
            told = "".join(_told(part, engine) for part in unsettled)
            noun = "container" if stack.on else "service"
            raise PymachineError(
                f"after {stack.wait} s not every {noun} of stack {stack.name} is as it should be:{told}",
                hint="run the command again to wait longer; `wait:` of the stack or `apply --wait SECONDS` sets the "
                "limit",
            )


def _awaited(made: Deployment, engine: ClusterEngine, tools: Services, stopped: Callable[[], bool]) -> Sequence[Part]:
    stack = made.stack
    since, before = None, ""
    for passed in tools.clock.ticks(stack.wait, PAUSE):
        unsettled = _found(made, engine)
        since = None if unsettled else passed if since is None else since
        if since is not None and passed - since >= STABLE:
            return []
        if stopped():
            raise Interrupted(f"interrupted while stack {stack.name} was starting", hint="it continues on its own")
        told = _in_short(unsettled) or f"all {'containers' if stack.on else 'services'} run"
        if told != before:
            tools.reporter.progressed(stack.name, STEP, told)
            before = told
    if isinstance(unsettled, PymachineError):
        raise unsettled
    return unsettled


def _found(made: Deployment, engine: ClusterEngine) -> Sequence[Part] | PymachineError:
    """Return what is not as it should be, or why the engine does not tell: a Swarm may be choosing a leader."""
    try:
        return made.unsettled(engine)
    except (EngineError, Unreachable) as error:
        return error


def _in_short(found: Sequence[Part] | PymachineError) -> str:
    return found.message if isinstance(found, PymachineError) else ", ".join(map(_briefly, found))


def _briefly(part: Part) -> str:
    return f"{part.name} {part.replicas}" if isinstance(part, Service) else f"{part.name}: {part.in_words()}"


def _told(part: Part, engine: ClusterEngine) -> str:
    try:
        lines = _log(part, engine) if part.id else ()
    except PymachineError:
        lines = ()  # its log goes where the engine cannot read it, or its node is cut off
    return f"\n  {part.name}: {part.in_words()}" + "".join(f"\n    {line}" for line in lines)


def _log(part: Part, engine: ClusterEngine) -> tuple[str, ...]:
    return engine.logs(part.id, LINES) if isinstance(part, Service) else engine.container_logs(part.id, LINES)
