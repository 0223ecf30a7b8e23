"""``doctor`` on the command line: its exit codes and its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.fleet.apply.subprocesses import CompletedProgram, NotInstalled
from pymachine.model import Machine, Phase
from pymachine.store.sqlite import SqliteStore


def run(words: Sequence[str], environ: Mapping[str, str], **how: Any) -> CompletedProgram:
    """Be every program."""
    return CompletedProgram(0, ("1",), b"2.38.2")


def run_nothing(words: Sequence[str], environ: Mapping[str, str], **how: Any) -> CompletedProgram:
    """Be a computer without programs."""
    raise NotInstalled("nothing is installed")


def doctor(folder: Path, *words: str, programs: Any = run) -> int:
    wiring = Wiring(driver_names=list, run=programs)
    return main(["-s", str(folder), "doctor", *words], wiring=wiring)


def test_the_worst_answer_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = doctor(tmp_path / "store", "--json")
    found = {one["check"]: one for one in json.loads(capsys.readouterr().out)}
    unknown = found["clock"]["health"] == "unknown"  # where these tests run, nothing may keep it right
    assert code == (5 if unknown else 0)
    assert found["ssh"] == {
        "schema_version": 1, "machine": "", "check": "ssh", "health": "fine", "detail": "1", "mend": "",
    }  # fmt: skip
    assert doctor(tmp_path / "store", programs=run_nothing) == 1


def test_only_the_named_machines_are_examined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SqliteStore.open(tmp_path / "store") as store:
        for name in ("a", "b"):
            store.put(Machine(name, name * 8, "fake", Phase.REQUESTED))
    assert doctor(tmp_path / "store", "b", "--json") == 1
    assert {one["machine"] for one in json.loads(capsys.readouterr().out)} == {"", "b"}
    assert doctor(tmp_path / "store", "c") == 4
