"""The containers of a Compose project: which run, and what is wrong with the others. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pymachine.swarm_api.api_reader import short
from pymachine.swarm_api.api_types import ApiContainer, ApiContainerState, ApiHealth
from pymachine.swarm_api.services import Replicas

PROJECT_LABEL = "com.docker.compose.project"  # what Compose puts on the containers that it makes
SERVICE_LABEL = "com.docker.compose.service"
ONE_OFF_LABEL = "com.docker.compose.oneoff"  # "True" on those of `docker compose run`
_KEPT_UP = ("always", "unless-stopped")  # restart policies of what never comes to an end by itself
_LONGEST = 300  # characters of an error
# Seconds that an engine lets a container run before it counts the next failure as the first (moby, restartmanager).
_LOOP = 10.0


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a ``service`` of a ``project``: ``state`` and ``health`` as the Engine API names them.

    ``code`` is its exit code, ``error`` what the engine or its health check said last. ``kept_up`` says that its
    restart policy lets it never end, ``looping`` that it was restarted and has not run for long since.
    """

    id: str
    name: str
    project: str
    service: str
    state: str
    health: str = ""
    code: int = 0
    error: str = ""
    kept_up: bool = False
    looping: bool = False

    @property
    def settled(self) -> bool:
        """Whether it runs, healthy if it has a health check, or has finished successfully."""
        if self.state == "running":
            return self.health in ("", "healthy") and not self.looping
        return self.state == "exited" and self.code == 0 and not self.kept_up

    def in_words(self) -> str:
        """Return the description of a container that is not settled."""
        if not self.id:
            return self.error or "it does not exist"
        if self.state == "running":
            told = f"it is {self.health}" if self.health not in ("", "healthy") else "it restarts repeatedly"
        else:
            told = f"it is {self.state} (exit code {self.code})" if self.code else f"it is {self.state}"
        return f"{told}: {self.error}" if self.error else told


def missing_from(project: str, service: str, error: str = "") -> Container:
    """Return what stands for a service that has no container, or too few as ``error`` says."""
    return Container("", f"{project}-{service}", project, service, "missing", error=error)


def unsettled_in(project: str, asked: Mapping[str, Replicas], found: Sequence[Container]) -> list[Container]:
    """Return the containers of a project that are not as they should be, and its services that have too few."""
    counts = Counter(container.service for container in found)
    missing = [
        missing_from(project, service, f"{there} of {count.least} containers exist" if there else "")
        for service, count in asked.items()
        if (there := counts[service]) < count.least
    ]
    return [*(container for container in found if not container.settled), *missing]


def container_of(document: ApiContainer, now: datetime | None) -> Container:
    """Return a container; ``now`` is the engine's time, None where nothing hangs on it.

    Raises ``ValueError`` for a time that is none.
    """
    state, labels = document.State, (document.Config.Labels if document.Config else None) or {}
    health = state.Health or ApiHealth()
    policy = document.HostConfig.RestartPolicy if document.HostConfig else None
    return Container(
        short(document.Id),
        short(document.Name).lstrip("/"),
        short(labels.get(PROJECT_LABEL, "")),
        short(labels.get(SERVICE_LABEL, "")),
        short(state.Status),
        "" if health.Status == "none" else short(health.Status),
        state.ExitCode,
        _error(state, health),
        policy is not None and policy.Name in _KEPT_UP,
        now is not None and was_restarted(document) and _is_young(state.StartedAt, now),
    )


def was_restarted(document: ApiContainer) -> bool:
    """Whether the engine restarted a container that runs now."""
    return bool(document.RestartCount) and document.State.Status == "running"


def parsed(time: str) -> datetime:
    """Return a time of the Engine API (RFC 3339, nanoseconds) to the second. Raises ``ValueError``."""
    return datetime.fromisoformat(time[:19]).replace(tzinfo=UTC)


def _is_young(started: str, now: datetime) -> bool:
    return (now - parsed(started)).total_seconds() < _LOOP


def _error(state: ApiContainerState, health: ApiHealth) -> str:
    """Return the known reason: the engine's error, lack of memory, or the last failed check."""
    checks = [check for check in health.Log or () if check.ExitCode]
    if state.Error:
        told = state.Error
    elif state.OOMKilled:
        told = "it was killed for lack of memory"
    else:
        told = checks[-1].Output if checks and state.Status == "running" else ""
    return " ".join(told.split())[:_LONGEST]
