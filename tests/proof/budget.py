"""What a run may count: read from tests/budget.toml, compared, and shown."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proof.tally import KINDS

FILE = Path(__file__).parents[1] / "budget.toml"


@dataclass(frozen=True)
class Budget:
    """The cost of a slice in seconds, and the counts that each tier may come to."""

    slice_cost: float
    tiers: Mapping[str, Mapping[str, int]]

    @classmethod
    def read(cls, file: Path = FILE) -> Budget:
        """Read the file; ValueError for a kind of count that nothing counts, or that is missing."""
        data = tomllib.loads(file.read_text())
        cost = data["slice"].pop("cost")
        for tier, counts in data.items():
            if set(counts) != set(KINDS):
                raise ValueError(f"{file.name}: [{tier}] has to have {', '.join(KINDS)}")
        return cls(float(cost), data)

    def excess(self, tier: str, counts: Mapping[str, int]) -> list[str]:
        """What is above the budget of a tier, one line each."""
        limits = self.tiers[tier]
        return [
            f"{tier}: {counts.get(kind, 0)} {kind.replace('_', ' ')}, and the budget is {limits[kind]}"
            for kind in KINDS
            if counts.get(kind, 0) > limits[kind]
        ]


@dataclass(frozen=True)
class Spent:
    """What one stage took: wall time in seconds, and its counts; ``waited``: what one beside others held them up."""

    stage: str
    tier: str
    seconds: float
    counts: Counter[str]
    beside: bool = False
    waited: float = 0.0

    @property
    def alone(self) -> float:
        """Seconds of the run that it alone took."""
        return self.waited if self.beside else self.seconds


def table(spent: Sequence[Spent], budget: Budget, total: float) -> str:
    """Show each stage and each tier.

    A stage that ran beside others has its seconds in brackets, and after them how long it held the others up.
    """
    lines = [_line("stage", "seconds", *(kind.replace("_", " ") for kind in KINDS))]
    for one in spent:
        seconds = f"({one.seconds:.0f}) {one.waited:.0f}" if one.beside else f"{one.seconds:.0f}"
        lines.append(_line(one.stage, seconds, *(one.counts[kind] for kind in KINDS)))
    for tier in dict.fromkeys(one.tier for one in spent):
        sums = sum_of(spent, tier)
        alone = sum(one.alone for one in spent if one.tier == tier)
        limits = budget.tiers[tier]
        lines.append(_line(f"all of {tier}", f"{alone:.0f}", *(f"{sums[kind]}/{limits[kind]}" for kind in KINDS)))
    lines.append(_line("from start to end", f"{total:.0f}"))
    return "\n".join(lines)


def sum_of(spent: Sequence[Spent], tier: str) -> Counter[str]:
    """All counts of a tier."""
    return sum((one.counts for one in spent if one.tier == tier), Counter())


def _line(name: object, *values: object) -> str:
    return f"{name!s:<20}" + "".join(f"{value!s:>14}" for value in values)
