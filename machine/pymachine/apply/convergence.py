"""The end of a deploy: every service of a stack runs as it was asked to, or a deadline has passed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pymachine.cluster.seam import ClusterEngine
from pymachine.cluster.services import Service, unsettled_of
from pymachine.errors import Interrupted, PymachineError
from pymachine.inventory.model import StackSpec
from pymachine.model import Machine
from pymachine.steps.tools import Tools
from pymachine.store.clientfiles import materialised

STABLE = 5.0  # seconds that tasks have to run: as long as the docker client itself looks
PAUSE = 1.0
ANSWER = 20.0  # seconds for one answer
LINES = 5  # of a service's log
STEP = "wait for the services"


def converge(
    stack: StackSpec, names: Sequence[str], manager: Machine, tools: Tools, stopped: Callable[[], bool]
) -> None:
    """Wait until the services ``names`` of a stack are settled, at most ``stack.wait`` seconds; not at all for 0.

    Raises ``PymachineError`` that names those which are not, each with its last error and the last lines of its log;
    ``Interrupted`` once ``stopped``.
    """
    if not stack.wait:
        return
    assert manager.endpoint is not None
    folder = materialised(tools.store, manager.name)
    with tools.connect_cluster(manager.endpoint, folder, deadline=ANSWER) as engine:
        unsettled = _awaited(stack, names, engine, tools, stopped)
        if unsettled:
            told = "".join(_told(service, engine) for service in unsettled)
            raise PymachineError(
                f"after {stack.wait} s not every service of stack {stack.name} is as it should be:{told}",
                hint="the same command waits again; `wait:` of the stack says how long",
            )


def _awaited(
    stack: StackSpec, names: Sequence[str], engine: ClusterEngine, tools: Tools, stopped: Callable[[], bool]
) -> list[Service]:
    end, since, before = tools.now() + stack.wait, None, ""
    while True:
        unsettled = unsettled_of(stack.name, names, engine.services(stack.name))
        now = tools.now()
        since = None if unsettled else now if since is None else since
        if since is not None and now - since >= STABLE:
            return []
        if now >= end:
            return unsettled
        if stopped():
            raise Interrupted(f"interrupted while stack {stack.name} was starting", hint="it goes on by itself")
        told = ", ".join(f"{service.name} {service.replicas}" for service in unsettled) or "all services run"
        if told != before:
            tools.reporter.progressed(stack.name, STEP, told)
            before = told
        tools.sleep(PAUSE)


def _told(service: Service, engine: ClusterEngine) -> str:
    try:
        lines = engine.logs(service.id, LINES) if service.id else ()
    except PymachineError:
        lines = ()  # its log goes where the engine cannot read it, or its node is cut off
    return f"\n  {service.name}: {service.in_words()}" + "".join(f"\n    {line}" for line in lines)
