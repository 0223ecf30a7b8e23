"""The contract suite for drivers of what is there already: they make nothing, and look at one port."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from typing_extensions import override

from pymachine.testing.contract import DriverContract


class ExistingContract(DriverContract):
    """Override ``driver``, ``options`` and ``bad_options``; something listens on ``port`` of loopback."""

    port: int

    @pytest.fixture(autouse=True)
    def _listen(self) -> Iterator[None]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = int(server.getsockname()[1])
            yield

    @override
    def count(self) -> int:
        """None are ever made."""
        return 0
