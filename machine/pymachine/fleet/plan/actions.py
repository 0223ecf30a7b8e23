"""The parts of a plan: actions with their reasons, in one chain per machine or stack."""

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
    """What does not run during or after an action.

    ``containers`` stop, None if they are unknown; tasks of ``services`` stop, those of ``moved`` services run on
    other nodes meanwhile.
    """

    containers: tuple[str, ...] | None = ()
    services: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


NOTHING_STOPS = Interruption()


@dataclass(frozen=True, slots=True)
class Action:
    """One action and its reasons. ``payload`` says what is done; ``subject`` is a machine, a stack or a node.

    ``causes`` are values that change, changes on the host, or sentences. The action begins when those that it
    ``needs`` are done, and those that it ``waits`` for have ended, successfully or not. ``drains`` says that the node
    is drained meanwhile, ``interruption`` what stops.
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
        """The kind of the action."""
        return self.payload.kind

    @property
    def id(self) -> str:
        """The name by which other actions refer to it."""
        return f"{self.kind}:{self.subject}"

    @property
    def title(self) -> str:
        """The title of the action."""
        return IN_WORDS.get(self.kind, str(self.kind))

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons as texts."""
        return tuple(cause if isinstance(cause, str) else cause.in_words() for cause in self.causes)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The values that change, if values are the cause."""
        found = [cause for cause in self.causes if isinstance(cause, Difference)]
        behind = [cause for cause in self.causes if isinstance(cause, Change)]
        return (*found, *(one for change in behind for one in change.differences))

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects on running workloads."""
        return self.payload.effects

    @property
    def interrupts(self) -> bool:
        """Whether the machine or its engine is unavailable for a while."""
        return interrupt(self.effects)


@dataclass(frozen=True, slots=True)
class Chain:
    """Actions on one subject, each of which needs the previous one."""

    subject: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request of the inventory that is not possible for a machine."""

    subject: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions on a fleet, in the order of its machines.

    ``unseen`` maps machines that could not be examined to the reason; nothing is planned for them. ``notes`` are
    information for the user. ``partial`` says that another plan may be needed afterwards.
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
        """Whether everything is as it should be, as far as it could be examined."""
        return not (self.chains or self.refusals)

    def of(self, *kinds: ActionKind) -> list[Action]:
        """Return the actions of these kinds."""
        return [action for action in self.actions if action.kind in kinds]
