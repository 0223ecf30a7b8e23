"""What a driver can say of this computer: whether what it needs there is in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from pymachine.driver.protocol import Handle


class Health(StrEnum):
    """The answers of a check. ``UNKNOWN`` is for what could not be asked; it is neither of the others."""

    FINE = "fine"
    FAULT = "fault"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The result of a check: ``check`` names what was checked, ``detail`` says how it is.

    ``mend`` is the command that mends it, or a short instruction where there is no command; empty if it is fine.
    """

    check: str
    health: Health
    detail: str = ""
    mend: str = ""


@runtime_checkable
class ChecksHealth(Protocol):
    """A driver that needs something of this computer: a daemon, virtualisation, credentials."""

    def health(self, handles: Sequence[Handle], *, deadline: float) -> Sequence[HealthCheck]:
        """Check what new machines need, and what the machines with these handles need. Changes nothing.

        Takes about ``deadline`` seconds at most. Raises ``DriverMissing`` if a package of the driver is not
        installed, and ``PymachineError`` for what could not be asked.
        """
