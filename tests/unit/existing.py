"""The contract suite for drivers of what is there already: they make nothing, and look at one port."""

from __future__ import annotations

import pytest
from typing_extensions import override

from pymachine.testing.contract import DriverContract


class ExistingContract(DriverContract):
    """Override ``driver``, ``options`` and ``bad_options``; something listens on ``port`` of loopback."""

    @pytest.fixture(autouse=True)
    def _listen(self, port: int) -> None:
        self.port = port

    @override
    def count(self) -> int:
        """None are ever made."""
        return 0
