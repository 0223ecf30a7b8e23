"""Unlocks managers that have restarted."""

from __future__ import annotations

from pymachine.steps.services import Services
from pymachine.swarm.control import (
    UNLOCK_KEY,
    awaited,
    engine_of,
    member_at_work,
    unlocked,
)
from pymachine.swarm_api.protocol import LOCKED


def unlock(name: str, tools: Services, *, key: str | None = None) -> bool:
    """Unlock a manager with this key or one in the store; return whether it was locked. A valid key is stored."""
    with member_at_work(name, "unlock", tools) as (session, machine), engine_of(machine, session.tools) as engine:
        if engine.node_status().state != LOCKED:
            return False
        if key is None:
            unlocked(engine, machine, tools)
            return True
        engine.unlock(key)
        session.save(machine, {UNLOCK_KEY: key.encode()})
        awaited(tools, lambda: True if engine.node_status().state != LOCKED else None, f"{name} to be unlocked")
        return True
