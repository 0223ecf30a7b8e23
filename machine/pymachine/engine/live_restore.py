"""Keeps containers running while their engine restarts. Pure.

``live-restore`` can be enabled by a reload, takes effect at the next stop of the daemon, and must still be enabled
when the daemon starts again, or the daemon ends the containers that it finds. A reload with a file without the key
changes nothing: the running daemon can have it enabled although the next start will not. So the file and the flags of
the next start count, never the state of the running daemon. A Swarm member cannot use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from pymachine.engine.daemon_config import encode_config
from pymachine.engine.host_facts import EngineFacts

ON = {"live-restore": True}


class LiveRestore(Enum):
    """What the set-up does about live-restore."""

    LEAVE = "leave"  # nothing runs, or it is on by the engine's own configuration
    DENIED = "denied"  # its configuration says no, or it cannot be had: containers stop
    KEEP = "keep"  # added to daemon.json for good
    BORROW = "borrow"  # on for the restart only: an engine that may join a Swarm later must not keep it


def decide(engine: EngineFacts | None, start: Mapping[str, Any], *, ours_already: bool, fresh: bool) -> LiveRestore:
    """Decide from the engine as found and the daemon.json that it would otherwise start with.

    ``ours_already``: an earlier set-up added the key; ``fresh``: pymachine installed the engine.
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
    """Whether the configuration, the host's own or the requested one, disables it."""
    return start.get("live-restore") is False or engine.flags.get("live-restore", ["true"])[-1] == "false"


def switched_on(engine: EngineFacts | None, existing: Mapping[str, Any], choice: LiveRestore) -> bytes | None:
    """Return the present daemon.json with live-restore enabled, to reload before the stop; None if not needed.

    It is not needed if both the file and the running engine have it. Otherwise it is, because what is restored after
    a failure must start the engine with the key too.
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
    """Return a sentence on what a restart of the engine does to the running containers."""
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
