"""The containers of a Compose project on one machine, and the end of bringing it up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymachine.apply.convergence import LINES, PAUSE, STABLE, STEP
from pymachine.apply.deploying import Docker
from pymachine.errors import Interrupted, PymachineError
from pymachine.inventory.model import StackSpec
from pymachine.model import Machine


@dataclass(frozen=True, slots=True)
class Container:
    """A container as `docker compose ps` lists it: ``state`` and ``health`` as the Engine API names them."""

    name: str
    state: str
    health: str = ""
    code: int = 0

    @property
    def settled(self) -> bool:
        """Whether it runs, healthy where that is checked, or has done its work."""
        if self.state == "running":
            return self.health in ("", "healthy")
        return self.state == "exited" and self.code == 0

    def in_words(self) -> str:
        """Return what is to be said of one that is not settled."""
        if self.state == "running":
            return f"it is {self.health}"
        return f"it is {self.state} (exit code {self.code})" if self.code else f"it is {self.state}"


def converge_project(stack: StackSpec, machine: Machine, docker: Docker, stopped: Callable[[], bool]) -> None:
    """Wait until the containers of a stack on a machine are settled, at most ``stack.wait`` seconds; not for 0.

    Raises ``PymachineError`` that names those which are not, each with the last lines of its log; ``Interrupted``
    once ``stopped``.
    """
    if not stack.wait:
        return
    unsettled = _awaited(stack, machine, docker, stopped)
    if unsettled:
        told = "".join(_told(container, machine, docker) for container in unsettled)
        raise PymachineError(
            f"after {stack.wait} s not every container of stack {stack.name} is as it should be:{told}",
            hint="the same command waits again; `wait:` of the stack says how long",
        )


def read_containers(output: bytes) -> list[Container]:
    """Read what `docker compose ps --format json` prints: an object a line, of older ones one list.

    Raises ``PymachineError`` for anything else.
    """
    text = output.decode(errors="replace").strip()
    try:
        parts = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        return [_container(part) for part in parts]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise PymachineError("what `docker compose ps` printed is not a list of containers") from None


def _container(part: Any) -> Container:
    return Container(
        str(part["Name"]), str(part["State"]), str(part.get("Health") or ""), int(part.get("ExitCode") or 0)
    )


def _awaited(stack: StackSpec, machine: Machine, docker: Docker, stopped: Callable[[], bool]) -> list[Container]:
    tools = docker.tools
    end, since, before = tools.now() + stack.wait, None, ""
    while True:
        found = read_containers(docker.ask(["compose", "-p", stack.name, "ps", "--all", "--format", "json"], machine))
        unsettled = [container for container in found if not container.settled]
        now = tools.now()
        since = None if unsettled else now if since is None else since
        if since is not None and now - since >= STABLE:
            return []
        if now >= end:
            return unsettled
        if stopped():
            raise Interrupted(f"interrupted while stack {stack.name} was starting", hint="it goes on by itself")
        told = ", ".join(f"{one.name}: {one.in_words()}" for one in unsettled) or "all containers run"
        if told != before:
            tools.reporter.progressed(stack.name, STEP, told)
            before = told
        tools.sleep(PAUSE)


def _told(container: Container, machine: Machine, docker: Docker) -> str:
    try:
        lines = docker.log(container.name, machine, LINES)
    except PymachineError:
        lines = ()
    return f"\n  {container.name}: {container.in_words()}" + "".join(f"\n    {line[:300]}" for line in lines)
