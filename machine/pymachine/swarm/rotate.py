"""Replaces the secrets of a Swarm: tokens, the unlock key, its certificate authority."""

from __future__ import annotations

from collections.abc import Sequence

from pymachine.steps.services import Services
from pymachine.swarm.control import (
    awaited,
    control,
)
from pymachine.swarm.settings import change_cluster
from pymachine.swarm_api.protocol import Rotation, SwarmSettings

ROTATION_PATIENCE = 180.0


def rotate(rotation: Rotation, tools: Services, *, via: Sequence[str]) -> None:
    """Replace tokens, the unlock key or the certificate authority; a new key is stored with every manager.

    A new authority is in effect when every node has a certificate of it: nodes that are down are waited for.
    """
    with control(tools, via) as manager:
        change_cluster(manager, SwarmSettings(), rotation, tools)
        if rotation.authority:
            awaited(
                tools,
                lambda: None if manager.engine.cluster().rotating else True,
                "all nodes to have a certificate of the new authority",
                patience=ROTATION_PATIENCE,
                hint="it continues when the nodes that are down come back, or are removed",
            )
