"""The fake world that the tests of the verbs share."""

from __future__ import annotations

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
