"""A world whose driver is that of a cloud, with every power that clouds have."""

from __future__ import annotations

from pathlib import Path

from pymachine.testing.moving_cloud import MovingCloud
from unit.world import World


class CloudWorld(World):
    """The cloud is ``moving``; the driver is called ``fake`` or ``other``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, preexisting=False)
        self.cloud = self.moving = MovingCloud()
