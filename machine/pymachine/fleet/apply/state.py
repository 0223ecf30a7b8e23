"""The note on a fleet in the store, besides the records of its machines.

It is written piece by piece, from any thread. One that cannot be read begins again.
"""

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

_WRITING = threading.Lock()  # a piece is put into what was noted before: actions on two stacks end at the same time


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


def note_stack(fleet: str, store: Store, name: str, stack: Deployed | None) -> None:
    """Note how a stack was deployed; None if it was removed."""
    _change(fleet, store, lambda memory: replace(memory, stacks=_with(memory, name, stack)))


def note_swarm(fleet: str, store: Store, swarm: SwarmSpec) -> None:
    """Note the settings that the Swarm was given."""
    _change(fleet, store, lambda memory: replace(memory, swarm=to_document(swarm)))


def note_end(fleet: str, store: Store, failed: Iterable[str]) -> None:
    """Note what is left to do."""
    with _WRITING:
        _write(fleet, store, memory_of(fleet, store), tuple(failed))


def forget(fleet: str, store: Store) -> None:
    """Delete the note of a fleet that is gone."""
    with _WRITING:
        store.keep(note_name(fleet), {})


def _change(fleet: str, store: Store, change: Callable[[FleetState], FleetState]) -> None:
    with _WRITING:
        try:
            failed = failed_of(fleet, store)
        except NoteUnreadable:
            failed = ()
        _write(fleet, store, change(memory_of(fleet, store)), failed)


def _write(fleet: str, store: Store, memory: FleetState, failed: tuple[str, ...]) -> None:
    document: dict[str, Any] = {**to_document(replace(memory, unreadable="")), "failed": list(failed)}
    store.keep(note_name(fleet), {key: value for key, value in document.items() if value})


def _with(memory: FleetState, name: str, stack: Deployed | None) -> dict[str, Deployed]:
    kept = {key: value for key, value in memory.stacks.items() if key != name}
    return kept if stack is None else {**kept, name: stack}
