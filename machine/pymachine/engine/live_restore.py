"""Keeping containers up while their engine restarts. Pure.

``live-restore`` can be switched on by a reload, takes effect at the next stop of the daemon, and must still be on
when the daemon starts again, or it ends the containers it finds. A reload with a file that lacks the key changes
nothing: the running daemon can have it on although the next start will not. So what counts is the file and the
flags that the daemon starts with, never what the running one says. It cannot be had in a Swarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from pymachine.engine.daemon_config import encode_config
from pymachine.engine.host_facts import EngineFacts

ON = {"live-restore": True}


class LiveRestore(Enum):
    """What the set-up does about it."""

    LEAVE = "leave"  # nothing runs, or it is on by the engine's own configuration
    DENIED = "denied"  # its configuration says no, or it cannot be had: containers stop
    KEEP = "keep"  # added to daemon.json for good
    BORROW = "borrow"  # on for the restart only: an engine that may join a Swarm later must not keep it


def decide(engine: EngineFacts | None, start: Mapping[str, Any], *, ours_already: bool, fresh: bool) -> LiveRestore:
    """Decide from the engine as found and the daemon.json that it would start with if nothing was done about it.

    ``ours_already``: an earlier set-up added the key; ``fresh``: the engine itself came from us.
    """
    if engine is None:
        return LiveRestore.LEAVE
    if engine.swarm or is_refused(engine, start):
        return LiveRestore.DENIED
    if "live-restore" in engine.flags or (start.get("live-restore") and engine.live_restore):
        return LiveRestore.LEAVE
    if start.get("live-restore"):  # in the file, but the running engine has not read it
        return LiveRestore.KEEP if engine.containers else LiveRestore.LEAVE
    if fresh:
        return LiveRestore.BORROW if engine.containers else LiveRestore.LEAVE
    return LiveRestore.KEEP if ours_already or engine.containers else LiveRestore.LEAVE


def is_refused(engine: EngineFacts, start: Mapping[str, Any]) -> bool:
    """Whether the configuration, the host's own or the one asked for, says no."""
    return start.get("live-restore") is False or engine.flags.get("live-restore", ["true"])[-1] == "false"


def switched_on(engine: EngineFacts | None, existing: Mapping[str, Any], choice: LiveRestore) -> bytes | None:
    """Return the present daemon.json with live-restore on, to reload before the stop; None if it is not needed.

    A file that has the key already and an engine that has read it need none. One without the other does: what is
    put back after a failure must start the engine with the key too.
    """
    if engine is None or choice not in (LiveRestore.KEEP, LiveRestore.BORROW):
        return None
    if engine.live_restore and existing.get("live-restore"):
        return None
    return encode_config({**existing, **ON})


def stops_containers(engine: EngineFacts | None, choice: LiveRestore) -> bool:
    """Whether a restart of the engine stops containers that run now."""
    return engine is not None and bool(engine.containers) and choice is LiveRestore.DENIED


def fate_of_containers(engine: EngineFacts | None, choice: LiveRestore) -> tuple[str, ...]:
    """Say in a sentence what a restart of the engine does to the containers that run now."""
    if engine is None or not engine.containers:
        return ()
    names = ", ".join(engine.containers[:6]) + (" …" if len(engine.containers) > 6 else "")
    several = len(engine.containers) > 1
    if stops_containers(engine, choice):
        why = "a Swarm member cannot use live-restore" if engine.swarm else "live-restore is off by its configuration"
        return (f"container{'s' * several} {names} will stop while the engine restarts: {why}",)
    on = choice is LiveRestore.KEEP and not engine.live_restore
    how = "live-restore is switched on" if on else "live-restore"
    return (f"container{'s' * several} {names} keep{'s' * (not several)} running while the engine restarts ({how})",)
