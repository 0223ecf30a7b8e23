"""What a plan is made of: actions with their reasons, one chain of them for each machine or stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pymachine.difference import Difference
from pymachine.engine.effects import Change, Effect, interrupt
from pymachine.fleet.plan.action_kinds import IN_WORDS, ActionKind
from pymachine.fleet.plan.payloads import Payload

Cause = str | Difference | Change


@dataclass(frozen=True, slots=True)
class Interruption:
    """What does not run while, or after, something is done.

    ``containers`` stop, None where it could not be asked which; tasks of ``services`` stop, those of ``moved`` ones
    run on other nodes meanwhile.
    """

    containers: tuple[str, ...] | None = ()
    services: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


NOTHING_STOPS = Interruption()


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do, and why.

    ``payload`` says what is done, ``subject`` is a machine, a stack or a node. ``causes`` are values that change,
    changes on the host, and sentences where it is neither. It begins when those that it ``needs`` are done, and
    those that it ``waits`` for have ended, well or not. ``drains`` says that the node runs no tasks of services
    meanwhile, ``interruption`` what stops.
    """

    payload: Payload
    subject: str
    causes: tuple[Cause, ...] = ()
    needs: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    drains: bool = False
    interruption: Interruption = NOTHING_STOPS

    @property
    def kind(self) -> ActionKind:
        """What kind of action it is."""
        return self.payload.kind

    @property
    def id(self) -> str:
        """What others name it by."""
        return f"{self.kind}:{self.subject}"

    @property
    def title(self) -> str:
        """What it does, in words."""
        return IN_WORDS.get(self.kind, str(self.kind))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, in words."""
        return tuple(cause if isinstance(cause, str) else cause.in_words() for cause in self.causes)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The values that change, as far as values are what is behind it."""
        found = [cause for cause in self.causes if isinstance(cause, Difference)]
        behind = [cause for cause in self.causes if isinstance(cause, Change)]
        return (*found, *(one for change in behind for one in change.differences))

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What it does to what runs there."""
        return self.payload.effects

    @property
    def interrupts(self) -> bool:
        """Whether the machine or its engine is away for a while."""
        return interrupt(self.effects)


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

    def of(self, *kinds: ActionKind) -> list[Action]:
        """Return the actions of these kinds."""
        return [action for action in self.actions if action.kind in kinds]
