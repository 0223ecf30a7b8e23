"""The machines whose records a command has changed, for what follows them outside the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymachine.model import Machine


class RecordChanges:
    """Hears of the writes to a store: ``changed`` are names, ``gone`` the names of removed machines by their ids."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.gone: dict[str, str] = {}

    def __bool__(self) -> bool:
        """Whether anything was written."""
        return bool(self.changed or self.gone)

    def adding(self, machine: Machine) -> None:
        """Nothing is written yet."""

    def written(self, machine: Machine) -> None:
        """Keep the name."""
        self.changed.add(machine.name)

    def removed(self, name: str, machine_id: str) -> None:
        """Keep the id: the name may be another machine's soon."""
        self.changed.discard(name)
        self.gone[machine_id] = name

    def clear(self) -> None:
        """Forget what was written so far."""
        self.changed.clear()
        self.gone.clear()
