"""The preview of an operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pymachine.engine.effects import Change, Effect, effects_of
from pymachine.engine.setup import SetupPlan
from pymachine.model import Machine


@dataclass(frozen=True, slots=True)
class Preview:
    """The changes that an operation would make to one machine, and announcements for its owner.

    ``drained`` says that the machine is a Swarm node that is drained meanwhile.
    """

    verb: str
    machine: Machine
    changes: tuple[Change, ...]
    announcements: tuple[str, ...] = ()
    drained: bool = False

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects of all changes on running workloads."""
        return effects_of(self.changes)


def preview_of(verb: str, machine: Machine, plan: SetupPlan | None, extra: Sequence[Change] = ()) -> Preview:
    """Return the preview that follows from the plan of a set-up, None where nothing could be surveyed."""
    if plan is None:
        return Preview(verb, machine, tuple(extra))
    return Preview(verb, machine, (*extra, *plan.changes), plan.announcements)
