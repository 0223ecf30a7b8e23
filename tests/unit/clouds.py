"""A world whose driver is that of a cloud, with every power that clouds have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from pymachine.driver import Driver
from pymachine.steps.services import Services
from pymachine.testing.mobile_cloud import MobileCloud
from unit.world import World


class CloudWorld(World):
    """The cloud is ``moving``; its driver is called ``fake`` or ``other``, unless a test has its own ``loader``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, preexisting=False)
        self.cloud = self.moving = MobileCloud()
        self.loader: Callable[[str], type[Driver]] | None = None

    @property
    @override
    def tools(self) -> Services:
        """All of it, for a verb."""
        return replace(super().tools, load_driver=self.loader) if self.loader else super().tools
