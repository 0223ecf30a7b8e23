"""Swarm mode through the engine's API: one cluster, its nodes, its services.

Only this package uses the Docker SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pymachine.model import Endpoint
    from pymachine.swarm_api.protocol import ClusterEngine


def connect(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> ClusterEngine:
    """Connect with the Docker SDK, as described in ``ConnectCluster``."""
    from pymachine.swarm_api.docker_sdk import connect as by_sdk  # costs 0.2 s

    return by_sdk(endpoint, folder, deadline=deadline)
