"""What a plan is made of: actions with their reasons, one chain of them for each machine or stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What an action does."""

    CREATE = "create"
    RESUME = "resume"
    ADOPT = "adopt"
    REMAKE = "remake"
    REPLACE = "replace"
    START = "start"
    REACH = "reach"
    RESIZE = "resize"
    REFIT = "refit"
    CONFIGURE = "configure"
    RENEW = "renew"
    UPGRADE = "upgrade"
    RELABEL = "relabel"
    UNLOCK = "unlock"
    INIT = "init"
    SETTINGS = "settings"
    JOIN = "join"
    PROMOTE = "promote"
    DEMOTE = "demote"
    ADJUST = "adjust"
    LEAVE = "leave"
    FORGET = "forget"
    REMOVE = "remove"
    DEPLOY = "deploy"
    WITHDRAW = "withdraw"


IN_WORDS: Mapping[Kind, str] = {
    Kind.RESUME: "go on with the create",
    Kind.ADOPT: "take into the fleet",
    Kind.REMAKE: "make anew",
    Kind.REACH: "change how it is reached",
    Kind.REFIT: "change the instance",
    Kind.CONFIGURE: "configure the engine",
    Kind.RENEW: "renew certificates",
    Kind.UPGRADE: "upgrade the engine",
    Kind.RELABEL: "label the machine",
    Kind.INIT: "found the Swarm",
    Kind.SETTINGS: "change the Swarm",
    Kind.JOIN: "join the Swarm",
    Kind.ADJUST: "change the node",
    Kind.LEAVE: "leave the Swarm",
    Kind.FORGET: "forget the node",
    Kind.DEPLOY: "deploy the stack",
    Kind.WITHDRAW: "remove the stack",
}


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do, and why.

    ``subject`` is a machine, a stack or a node. It begins when those that it ``needs`` are done, and those that it
    ``waits`` for have ended, well or not. ``payload`` holds what the kind needs besides the inventory.
    """

    kind: Kind
    subject: str
    reasons: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What others name it by."""
        return f"{self.kind}:{self.subject}"

    @property
    def title(self) -> str:
        """What it does, in words."""
        return IN_WORDS.get(self.kind, str(self.kind))


@dataclass(frozen=True, slots=True)
class Chain:
    """Actions on one subject, each of which needs the one before."""

    subject: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the inventory asks of a machine and cannot be had."""

    subject: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done to a fleet, in the order of its machines.

    ``unseen`` says of machines that could not be looked at why; nothing is planned for them. ``notes`` are worth
    knowing beforehand. ``partial`` says that more may show once this is done.
    """

    fleet: str
    chains: tuple[Chain, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    partial: bool = False

    @property
    def actions(self) -> Iterator[Action]:
        """All actions, chain after chain."""
        return (action for chain in self.chains for action in chain.actions)

    @property
    def changes_nothing(self) -> bool:
        """Whether all is as it should be, as far as that could be seen."""
        return not (self.chains or self.refusals)

    def of(self, *kinds: Kind) -> list[Action]:
        """Return the actions of these kinds."""
        return [action for action in self.actions if action.kind in kinds]
