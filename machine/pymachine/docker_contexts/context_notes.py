"""Which machines have a context, by the notes of the store: commands without one load no docker client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymachine.store.schema import CONTEXT_NOTES

if TYPE_CHECKING:
    from pymachine.store import Store


def has_context(store: Store, machine_id: str) -> bool:
    """Whether the machine has a context, or is to have one; asks no docker client."""
    return bool(store.note(f"{CONTEXT_NOTES}{machine_id}"))


def have_contexts(store: Store) -> bool:
    """Whether any machine of the store has a context; asks no docker client."""
    return bool(store.noted(CONTEXT_NOTES))
