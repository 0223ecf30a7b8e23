"""The store that tests of stores begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymachine.store.sqlite import SqliteStore
from unit.stored import CLIENT, machine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with one machine, closed."""
    with SqliteStore.open(tmp_path / "store") as store:
        store.put(machine(), secrets=CLIENT)
    return tmp_path / "store"
