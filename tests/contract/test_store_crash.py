"""The SQLite store among processes: many at once, and killed at any moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from patience import LIMIT
from pymachine.model import Machine
from pymachine.store.sqlite import SqliteStore

SCRIPT = Path(__file__).with_name("store_crash.py")


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_eight_processes_that_begin_at_once_lose_no_write(tmp_path: Path) -> None:
    running = [start("count", tmp_path / "store", 50) for _ in range(8)]
    errors = [process.communicate(timeout=LIMIT)[1] for process in running]
    assert "".join(errors) == ""
    with SqliteStore.open(tmp_path / "store") as store:
        found = store.get("counter")
    assert (found.options, found.rev) == ({"count": 400}, 400)


def test_fifty_kills_leave_the_store_whole(tmp_path: Path) -> None:
    killer = start("kill", tmp_path / "store", 50, 20261125)
    output, errors = killer.communicate(timeout=LIMIT)
    assert output == "whole\n", errors
    with SqliteStore.open(tmp_path / "store") as store:
        assert isinstance(store.records()[0], Machine)  # the kills came late enough for some work
        assert store.holder("node1") is None
