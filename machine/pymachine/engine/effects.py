"""The effects of a change on running workloads, which decide on drains, order and announcements. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pymachine.difference import Difference


class Effect(StrEnum):
    """An effect of a change. ``MAY`` is for effects that only the change itself can determine."""

    RESTART_ENGINE = "restart-engine"
    MAY_RESTART_ENGINE = "may-restart-engine"
    STOP_CONTAINERS = "stop-containers"
    SWITCH_OFF = "switch-off"
    MAY_SWITCH_OFF = "may-switch-off"
    OPEN_PORT = "open-port"
    CHANGE_ADDRESS = "change-address"
    REPLACE_HOST = "replace-host"
    DELETE_HOST = "delete-host"
    DELETE_DATA = "delete-data"
    LOSE_QUORUM = "lose-quorum"
    MAY_LOSE_QUORUM = "may-lose-quorum"


# After these, a node of a Swarm is away for a while: it is drained before, and waited for after.
INTERRUPTIONS = frozenset(
    {
        Effect.RESTART_ENGINE,
        Effect.MAY_RESTART_ENGINE,
        Effect.SWITCH_OFF,
        Effect.MAY_SWITCH_OFF,
        Effect.REPLACE_HOST,
    }
)

IN_WORDS: Mapping[Effect, str] = {
    Effect.RESTART_ENGINE: "restarts the engine",
    Effect.MAY_RESTART_ENGINE: "may restart the engine",
    Effect.STOP_CONTAINERS: "stops containers",
    Effect.SWITCH_OFF: "stops the machine temporarily",
    Effect.MAY_SWITCH_OFF: "may stop the machine temporarily",
    Effect.OPEN_PORT: "opens a port",
    Effect.CHANGE_ADDRESS: "changes the address of the engine",
    Effect.REPLACE_HOST: "deletes the machine and all its data",
    Effect.DELETE_HOST: "deletes the host and all its data",
    Effect.DELETE_DATA: "deletes images, containers and volumes",
    Effect.LOSE_QUORUM: "takes the quorum from the Swarm",
    Effect.MAY_LOSE_QUORUM: "may take the quorum from the Swarm",
}


class Aspect(StrEnum):
    """The part of a host that a change concerns. ``RESTART`` only follows from other changes."""

    HOST = "host"
    ENGINE = "engine"
    CONFIG = "daemon.json"
    CERTIFICATES = "certificates"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Change:
    """One change on the host: what, why, its effects, and the values that change."""

    what: str
    why: str
    aspect: Aspect = Aspect.ENGINE
    effects: tuple[Effect, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def reason(self) -> str:
        """The reason, with old and new values."""
        told = "; ".join(found.in_words() for found in self.differences)
        return f"{self.why} ({told})" if told else self.why

    def in_words(self) -> str:
        """Return it as one sentence."""
        return f"{self.what}: {self.reason}"


RESTARTING = (Effect.RESTART_ENGINE,)


def effects_of(changes: Iterable[Change]) -> tuple[Effect, ...]:
    """Return all effects of these changes, each once, in the order in which ``Effect`` lists them."""
    found = {effect for change in changes for effect in change.effects}
    return tuple(effect for effect in Effect if effect in found)


def interrupt(effects: Iterable[Effect]) -> bool:
    """Whether one of these effects makes the machine or its engine unavailable for a while."""
    return not INTERRUPTIONS.isdisjoint(effects)


def restarts_engine(effects: Iterable[Effect]) -> bool | None:
    """Return whether the engine restarts, None if only the change itself can determine it."""
    found = frozenset(effects)
    if found & {Effect.RESTART_ENGINE, Effect.SWITCH_OFF, Effect.REPLACE_HOST}:
        return True
    return None if found & {Effect.MAY_RESTART_ENGINE, Effect.MAY_SWITCH_OFF} else False
