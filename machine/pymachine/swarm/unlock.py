"""Changes of a Swarm's secrets and settings: tokens, the unlock key, its certificate authority."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from pymachine.errors import EngineError
from pymachine.fleet.inventory.model import SwarmSpec
from pymachine.steps.services import Services
from pymachine.swarm.control import (
    UNLOCK_KEY,
    Control,
    awaited,
    control,
    engine_of,
    managers_of,
    member_at_work,
    unlocked,
)
from pymachine.swarm.init import settings_of
from pymachine.swarm_api.protocol import LOCKED, Rotation, SwarmSettings

LEASE_PATIENCE = 30.0
ROTATION_PATIENCE = 180.0


def update(spec: SwarmSpec, tools: Services, *, via: Sequence[str]) -> None:
    """Apply the settings of ``spec`` that can be changed: autolock, history, certificates, heartbeat."""
    with control(tools, via) as manager:
        _change(manager, settings_of(spec), Rotation(), tools)


def rotate(rotation: Rotation, tools: Services, *, via: Sequence[str]) -> None:
    """Replace tokens, the unlock key or the certificate authority; a new key is stored with every manager.

    A new authority is in effect when every node has a certificate of it: nodes that are down are waited for.
    """
    with control(tools, via) as manager:
        _change(manager, SwarmSettings(), rotation, tools)
        if rotation.authority:
            awaited(
                tools,
                lambda: None if manager.engine.cluster().rotating else True,
                "all nodes to have a certificate of the new authority",
                patience=ROTATION_PATIENCE,
                hint="it continues when the nodes that are down come back, or are removed",
            )


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


def _change(manager: Control, settings: SwarmSettings, rotation: Rotation, tools: Services) -> None:
    """Change the Swarm while its managers' records are locked, and store the key at once."""
    names = managers_of(manager.cluster, tools)
    with ExitStack() as leases:
        for name in names:
            leases.enter_context(tools.store.lease(name, "store the unlock key of the Swarm", wait=LEASE_PATIENCE))
        manager.engine.change_cluster(settings, rotation)
        key = manager.engine.unlock_key().encode()
        for name in names:
            if tools.store.secrets(name).get(UNLOCK_KEY, b"") != key:
                tools.store.put(tools.store.get(name), secrets={UNLOCK_KEY: key})
    if settings.autolock and not key:
        raise EngineError(
            f"{manager.machine} returned no key although its Swarm has autolock on", hint="run it again"
        )
