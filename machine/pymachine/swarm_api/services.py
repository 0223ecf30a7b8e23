"""The services of a Swarm: how many of their tasks run, and why others do not. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pymachine.swarm_api.api_reader import read, short
from pymachine.swarm_api.api_types import ApiService, ApiServiceMode, ApiTask

STACK_LABEL = "com.docker.stack.namespace"  # what `docker stack deploy` puts on services and tasks
UPDATING = ("updating", "rollback_started")
# What ends an update without what was requested.
GIVEN_UP = ("paused", "rollback_paused", "rollback_completed")
_ENDED_BADLY = ("failed", "rejected")
_ENDED = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})
_LONGEST = 300  # characters of an error


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that failed, or that finds no node: ``error`` is the engine's, ``code`` the exit code, if any."""

    task: str
    error: str
    code: int | None = None
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many tasks or containers the files of a stack ask for: ``least``, and ``most`` where they say a number."""

    least: int = 1
    most: int | None = None

    def allow(self, count: int) -> bool:
        """Whether so many are as requested."""
        return self.least <= count and (self.most is None or count <= self.most)


@dataclass(frozen=True, slots=True)
class Service:
    """A service of a stack.

    ``wanted`` is how many tasks shall run, or be completed by a ``job``; ``running`` how many do, or are. ``update``
    is the state of its last update as the Engine API names it, empty where there was none. ``failure`` is the last.
    ``asked`` is what the files of its stack say of ``wanted``, which somebody may have scaled since. ``spec`` is the
    digest of what it is to be, without the number of its tasks and without restarts by force; ``changed`` says that
    it is another one than when its stack was deployed.
    """

    id: str
    name: str
    stack: str
    wanted: int
    running: int
    job: bool = False
    update: str = ""
    failure: Failure | None = None
    asked: Replicas = field(default=Replicas(0), kw_only=True)
    spec: str = field(default="", kw_only=True)
    changed: bool = field(default=False, kw_only=True)

    @property
    def settled(self) -> bool:
        """Whether it is as requested."""
        if self.changed:
            return False
        complete = self.running >= self.wanted and self.asked.allow(self.wanted)
        return complete and self.update not in (*UPDATING, *GIVEN_UP)

    @property
    def replicas(self) -> str:
        """Running and wanted tasks, as `docker service ls` shows them."""
        return f"{self.running}/{self.wanted}"

    def in_words(self) -> str:
        """Return the description of a service that is not settled."""
        if not self.id:
            return "it does not exist"
        if self.changed:
            return "it was changed since its stack was deployed"
        if not self.asked.allow(self.wanted):
            return f"it was scaled to {self.wanted}, and its files say {self.asked.least}"
        verb = "are completed" if self.job else "run"
        told = f"{self.running} of {self.wanted} tasks {verb}"
        if self.update in GIVEN_UP or (self.update in UPDATING and self.running >= self.wanted):
            told = f"{told}, its update is {self.update.replace('_', ' ')}"
        return f"{told}: {self.failure.error}" if self.failure and not self.settled else told


def missing_as(stack: str, name: str) -> Service:
    """Return the placeholder of a service that does not exist."""
    return Service("", name, stack, 1, 0)


def unsettled_of(
    stack: str, asked: Mapping[str, Replicas], found: Sequence[Service], deployed: Mapping[str, str] | None = None
) -> list[Service]:
    """Return the services of a stack that are not as they should be, including missing ones.

    ``deployed`` has the ``spec`` of services by name, as they were when the stack was deployed, where it is known.
    """
    there = {service.name: _compared(service, deployed or {}) for service in found if service.stack == stack}
    wanted = [replace(there.get(name) or missing_as(stack, name), asked=count) for name, count in asked.items()]
    return [service for service in wanted if not service.settled]


def _compared(service: Service, deployed: Mapping[str, str]) -> Service:
    return replace(service, changed=deployed.get(service.name, service.spec) != service.spec)


def service_of(document: Any, tasks: Iterable[ApiTask]) -> Service:
    """Read one of ``/services`` with the ``/tasks``. Raises ``ValueError`` for a wrong shape."""
    found = read(ApiService, document)
    own = [task for task in tasks if task.ServiceID == found.ID]
    wanted, running, job = _counted(found.Spec.Mode or ApiServiceMode(), own)
    return Service(
        short(found.ID),
        short(found.Spec.Name),
        (found.Spec.Labels or {}).get(STACK_LABEL, ""),
        wanted,
        running,
        job,
        short(found.UpdateStatus.State) if found.UpdateStatus else "",
        _failure(own),
        spec=_digest(document["Spec"]),
    )


def has_ended(task: ApiTask) -> bool:
    """Whether a task has stopped for good."""
    return task.Status.State in _ENDED


def _digest(spec: Mapping[str, Any]) -> str:
    """Return the digest of a service's ``Spec``, which the engine never changes on its own.

    The number of tasks is compared with the files of the stack, and ``docker service update --force`` changes nothing
    but a counter.
    """
    template, mode = spec.get("TaskTemplate") or {}, spec.get("Mode") or {}
    bare = {**template, "ForceUpdate": 0} if isinstance(template, Mapping) else template
    kind = sorted(mode) if isinstance(mode, Mapping) else mode
    text = json.dumps({**spec, "TaskTemplate": bare, "Mode": kind}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _counted(mode: ApiServiceMode, tasks: list[ApiTask]) -> tuple[int, int, bool]:
    """Count tasks as `docker service ls` does: those that shall run, for a global service one per node."""
    alive = [task for task in tasks if task.DesiredState not in ("shutdown", "remove")]
    done = sum(task.Status.State == "complete" for task in tasks)
    if mode.ReplicatedJob is not None:
        return mode.ReplicatedJob.TotalCompletions or 1, done, True
    if mode.GlobalJob is not None:
        return sum(task.Status.State != "orphaned" for task in alive), done, True
    running = sum(task.Status.State == "running" for task in alive)
    if mode.Replicated is not None:
        wanted = mode.Replicated.Replicas
        return 1 if wanted is None else wanted, running, False
    return len(alive), running, False


def _failure(tasks: list[ApiTask]) -> Failure | None:
    """Return the latest: of a task that ended badly, or that waits with a reason."""
    ill = [task for task in tasks if task.Status.State in _ENDED_BADLY or (task.Status.Err and _pending(task))]
    if not ill:
        return None
    last = max(ill, key=lambda task: task.Status.Timestamp)
    ended = last.Status.ContainerStatus
    error = " ".join((last.Status.Err or last.Status.State).split())[:_LONGEST]
    return Failure(short(last.ID), error, ended.ExitCode if ended else None, last.Slot or 0)


def _pending(task: ApiTask) -> bool:
    return task.DesiredState == "running" and task.Status.State != "running"
