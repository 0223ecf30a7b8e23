"""The settings of a Swarm that can be changed at any time, and their change."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from pymachine.errors import EngineError
from pymachine.fleet.inventory.model import SwarmSpec
from pymachine.steps.services import Services
from pymachine.swarm.control import (
    UNLOCK_KEY,
    Control,
    control,
    managers_of,
)
from pymachine.swarm_api.protocol import Rotation, SwarmSettings

LEASE_PATIENCE = 30.0


def settings_of(spec: SwarmSpec) -> SwarmSettings:
    """Return what can be changed of a Swarm at any time."""
    return SwarmSettings(spec.autolock, spec.task_history, spec.certificate_life, spec.heartbeat)


def update(spec: SwarmSpec, tools: Services, *, via: Sequence[str]) -> None:
    """Apply the settings of ``spec`` that can be changed: autolock, history, certificates, heartbeat."""
    with control(tools, via) as manager:
        change_cluster(manager, settings_of(spec), Rotation(), tools)


def change_cluster(manager: Control, settings: SwarmSettings, rotation: Rotation, tools: Services) -> None:
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
