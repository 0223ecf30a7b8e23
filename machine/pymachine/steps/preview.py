"""What a verb would do, said before it does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pymachine.engine.effects import Change, Effect, effects_of
from pymachine.engine.setup import SetupPlan
from pymachine.model import Machine


@dataclass(frozen=True, slots=True)
class Preview:
    """The changes a verb would make to one machine, and what its owner should know beforehand.

    ``drained`` says that the machine is a node of a Swarm which runs no tasks meanwhile.
    """

    verb: str
    machine: Machine
    changes: tuple[Change, ...]
    announcements: tuple[str, ...] = ()
    drained: bool = False

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What all changes together do to what runs there."""
        return effects_of(self.changes)


def preview_of(verb: str, machine: Machine, plan: SetupPlan | None, extra: Sequence[Change] = ()) -> Preview:
    """Return the preview that follows from the plan of a set-up, None where nothing could be surveyed."""
    if plan is None:
        return Preview(verb, machine, tuple(extra))
    return Preview(verb, machine, (*extra, *plan.changes), plan.announcements)
