"""The errors of an inventory, all reported at once with their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pymachine.errors import UsageFault
from pymachine.fleet.inventory.model import Spot


@dataclass(frozen=True, slots=True)
class InventoryFault:
    """One message about one place."""

    spot: Spot
    message: str

    @property
    def line(self) -> str:
        """``file:line:column: message``, which editors can jump to."""
        return f"{where(self.spot)}: {self.message}"


def where(spot: Spot) -> str:
    """Return ``file:line:column``."""
    return f"{spot.file}:{spot.line}:{spot.column}"


class InventoryFaults(UsageFault):
    """An inventory that cannot be used; ``findings`` are sorted by their places."""

    def __init__(self, findings: Sequence[InventoryFault]) -> None:
        lines = [finding.line for finding in findings]
        if len(lines) > 1:
            lines.insert(0, f"{len(lines)} errors in the inventory")
        super().__init__(
            "\n  ".join(lines), hint="nothing was done; `pymachine inventory schema` describes every key"
        )
        self.findings = tuple(findings)


class Findings:
    """Collects findings, each of them once, since many machines are read from one line."""

    def __init__(self, files: Sequence[str]) -> None:
        self._place = {file: number for number, file in enumerate(files)}
        self._faults: dict[InventoryFault, None] = {}
        self._warnings: dict[InventoryFault, None] = {}
        self._withheld: dict[InventoryFault, None] = {}

    def fault(self, spot: Spot, message: str, hint: str | None = None) -> None:
        """Record an error. A hint follows it on the same line."""
        self._faults[InventoryFault(spot, f"{message}: {hint}" if hint else message)] = None

    def warn(self, spot: Spot, message: str) -> None:
        """Record a warning."""
        self._warnings[InventoryFault(spot, message)] = None

    def withhold(self, spot: Spot, message: str) -> None:
        """Record what is an error only if there are others, or when a secret is needed."""
        self._withheld[InventoryFault(spot, message)] = None

    @property
    def any(self) -> bool:
        """Whether there is an error."""
        return bool(self._faults)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings, as lines, sorted by place."""
        return tuple(finding.line for finding in self._sorted(self._warnings))

    @property
    def withheld(self) -> tuple[InventoryFault, ...]:
        """Findings that are not errors yet, sorted by place."""
        return tuple(self._sorted(self._withheld))

    def settle(self) -> None:
        """Raise ``InventoryFaults`` if there is any error, with the withheld findings."""
        if self._faults:
            raise InventoryFaults(self._sorted(self._faults | self._withheld))

    def _sorted(self, found: dict[InventoryFault, None]) -> list[InventoryFault]:
        return sorted(found, key=self._order)

    def _order(self, finding: InventoryFault) -> tuple[int, int, int]:
        spot = finding.spot
        return self._place.get(spot.file, len(self._place)), spot.line, spot.column
