"""The world of the tests of Swarm verbs."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.swarming import SwarmWorld


@pytest.fixture
def world(tmp_path: Path) -> SwarmWorld:
    """A world whose machines can be nodes of one Swarm."""
    return SwarmWorld(tmp_path)
