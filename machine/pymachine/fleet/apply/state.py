"""The notes on a fleet in the store, besides the records of its machines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pymachine.documents import from_document, to_document
from pymachine.errors import NoteUnreadable
from pymachine.fleet.inventory.model import SwarmSpec
from pymachine.fleet.plan import Deployed, FleetState
from pymachine.store import Store
from pymachine.store.notes import unreadable


def note_name(fleet: str) -> str:
    """Return the name of a fleet's note and lease, which no machine can have."""
    return f"fleet:{fleet}"


def memory_of(fleet: str, store: Store) -> FleetState:
    """Return what was noted of a fleet, or why that cannot be read."""
    try:
        return _noted(fleet, store).memory
    except NoteUnreadable as error:
        return FleetState(unreadable=error.message)


def failed_of(fleet: str, store: Store) -> tuple[str, ...]:
    """Return the machines and stacks that the last apply did not bring to their end. Raises ``NoteUnreadable``."""
    return _noted(fleet, store).failed


@dataclass(frozen=True, slots=True)
class _Noted:
    """A fleet's note in the form in which it is stored."""

    stacks: Mapping[str, Deployed] = field(default_factory=dict)
    swarm: Mapping[str, Any] = field(default_factory=dict)
    failed: tuple[str, ...] = ()

    @property
    def memory(self) -> FleetState:
        return FleetState(self.stacks, self.swarm)


def _noted(fleet: str, store: Store) -> _Noted:
    """Read the note. Raises ``NoteUnreadable`` for one that does not fit, as for one that is not JSON."""
    document = store.note(note_name(fleet))
    try:
        return from_document(_Noted, document)
    except (TypeError, ValueError) as error:
        raise unreadable(note_name(fleet), str(error)) from error


class Notebook:
    """Writes a fleet's note, piece by piece, from any thread. One that cannot be read begins again."""

    def __init__(self, fleet: str, store: Store) -> None:
        self._fleet = fleet
        self._store = store
        self._lock = threading.Lock()

    def deployed(self, name: str, stack: Deployed | None) -> None:
        """Note the digest of a deployed stack; None if it was removed."""
        self._change(lambda memory: replace(memory, stacks=_with(memory, name, stack)))

    def given(self, swarm: SwarmSpec) -> None:
        """Note the settings that the Swarm was given."""
        self._change(lambda memory: replace(memory, swarm=to_document(swarm)))

    def ended(self, failed: Iterable[str]) -> None:
        """Note what is left to do."""
        with self._lock:
            self._write(memory_of(self._fleet, self._store), tuple(failed))

    def forget(self) -> None:
        """Delete the note of a fleet that is gone."""
        with self._lock:
            self._store.keep(note_name(self._fleet), {})

    def _change(self, change: Callable[[FleetState], FleetState]) -> None:
        with self._lock:
            try:
                failed = failed_of(self._fleet, self._store)
            except NoteUnreadable:
                failed = ()
            self._write(change(memory_of(self._fleet, self._store)), failed)

    def _write(self, memory: FleetState, failed: tuple[str, ...]) -> None:
        document: dict[str, Any] = {**to_document(replace(memory, unreadable="")), "failed": list(failed)}
        self._store.keep(note_name(self._fleet), {key: value for key, value in document.items() if value})


def _with(memory: FleetState, name: str, stack: Deployed | None) -> dict[str, Deployed]:
    kept = {key: value for key, value in memory.stacks.items() if key != name}
    return kept if stack is None else {**kept, name: stack}
