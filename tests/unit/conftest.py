"""What many tests share: the fake world of the verbs, and a port that listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with one host that is there already, as behind the ssh driver."""
    return World(tmp_path)


@pytest.fixture
def cloud_world(tmp_path: Path) -> World:
    """A world whose driver makes its hosts."""
    return World(tmp_path / "cloud", preexisting=False)


@pytest.fixture
def port() -> Iterator[int]:
    """A port of 127.0.0.1 that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])
