"""A terminal whose encoding has few characters: nothing that is printed ends a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.model import Machine, Phase
from pymachine.store.sqlite import SqliteStore

LABEL = "café → 💩…"


def printed(folder: Path, encoding: str, *words: str) -> bytes:
    """What the program prints in that encoding."""
    program = [sys.executable, "-m", "pymachine", "-s", str(folder), *words]
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(program, capture_output=True, env=environ, timeout=LIMIT, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a machine."""
    with SqliteStore.open(tmp_path) as store:
        store.put(Machine("node1", "0" * 32, "none", Phase.READY, labels={"place": LABEL}))
    return tmp_path


@pytest.mark.parametrize("encoding", ["latin-1", "koi8-r", "utf-8"])
def test_json_means_the_same_in_any_encoding(folder: Path, encoding: str) -> None:
    told = printed(folder, encoding, "ls", "--json")
    assert json.loads(told.decode(encoding))[0]["labels"] == {"place": LABEL}
    assert json.loads(printed(folder, encoding, "inspect", "node1").decode(encoding))["labels"] == {"place": LABEL}


@pytest.mark.parametrize("words", [["--help"], ["help"], ["create", "-d", "ssh", "--help"], ["ls"]])
@pytest.mark.parametrize("encoding", ["latin-1", "koi8-r"])
def test_helps_and_tables_are_printed(folder: Path, encoding: str, words: list[str]) -> None:
    told = printed(folder, encoding, *words).decode(encoding)
    full = printed(folder, "utf-8", *words).decode()
    assert [line.split(" ")[0] for line in told.splitlines() if line.isascii() and "\\u" not in line] == [
        line.split(" ")[0] for line in full.splitlines() if line.isascii()
    ]
