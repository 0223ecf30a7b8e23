"""A slice of the soak tier: what of it a commit's hash chooses to be run today."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """What is chosen as one: the id of a test, a class or a module, and its cost in seconds."""

    id: str
    cost: float

    @property
    def file(self) -> str:
        """The test file that it is in."""
        return self.id.partition("::")[0]


@dataclass(frozen=True)
class Slice:
    """What was chosen, what was left for another commit, and what is too long for any slice."""

    chosen: tuple[Unit, ...]
    left: tuple[Unit, ...]
    too_long: tuple[Unit, ...]

    @property
    def cost(self) -> float:
        """The seconds of what was chosen."""
        return sum(unit.cost for unit in self.chosen)


def choose(units: Iterable[Unit], seed: str, budget: float) -> Slice:
    """Take units in an order that only the seed decides, as long as they fit into the budget."""
    chosen: list[Unit] = []
    left: list[Unit] = []
    too_long: list[Unit] = []
    room = budget
    for unit in sorted(set(units), key=lambda unit: hashlib.sha256(f"{seed} {unit.id}".encode()).digest()):
        if unit.cost > budget:
            too_long.append(unit)
        elif unit.cost > room:
            left.append(unit)
        else:
            chosen.append(unit)
            room -= unit.cost
    return Slice(tuple(chosen), tuple(left), tuple(too_long))
