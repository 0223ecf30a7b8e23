"""Keeping containers up while their engine restarts. Pure.

``live-restore`` can be switched on by a reload, takes effect at the next stop of the daemon, and must still be on
when the daemon starts again, or it ends the containers it finds. It cannot be had in a Swarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from pymachine.engine.hostfacts import EngineFacts


class LiveRestore(Enum):
    """What the set-up does about it."""

    LEAVE = "leave"  # nothing runs, or it is on already, or it cannot be had
    KEEP = "keep"  # added to daemon.json for good
    BORROW = "borrow"  # on for the restart only: an engine that may join a Swarm later must not keep it


def decide(engine: EngineFacts | None, theirs: Mapping[str, Any], *, ours_already: bool, fresh: bool) -> LiveRestore:
    """Decide from the engine as found and its daemon.json without our additions.

    ``ours_already``: an earlier set-up added the key; ``fresh``: the engine itself came from us.
    """
    if engine is None or engine.swarm:
        return LiveRestore.LEAVE
    if ours_already:
        return LiveRestore.KEEP
    if not engine.containers or engine.live_restore or is_refused(engine, theirs):
        return LiveRestore.LEAVE
    return LiveRestore.BORROW if fresh else LiveRestore.KEEP


def is_refused(engine: EngineFacts, theirs: Mapping[str, Any]) -> bool:
    """Whether the host's own configuration says no."""
    return theirs.get("live-restore") is False or "live-restore" in engine.flags


def fate_of_containers(engine: EngineFacts | None, choice: LiveRestore) -> tuple[str, ...]:
    """Say in a sentence what a restart of the engine does to the containers that run now."""
    if engine is None or not engine.containers:
        return ()
    names = ", ".join(engine.containers[:6]) + (" …" if len(engine.containers) > 6 else "")
    several = len(engine.containers) > 1
    if choice is LiveRestore.LEAVE and not engine.live_restore:
        why = "a Swarm member cannot use live-restore" if engine.swarm else "live-restore is off by its configuration"
        return (f"container{'s' * several} {names} will stop while the engine restarts: {why}",)
    on = choice is LiveRestore.KEEP and not engine.live_restore
    how = "live-restore is switched on" if on else "live-restore"
    return (f"container{'s' * several} {names} keep{'s' * (not several)} running while the engine restarts ({how})",)
