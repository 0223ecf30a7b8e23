"""What ``ls`` says of a machine that is ready, and of the last change that stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pymachine.cli import main
from pymachine.cli.machines import FAULT_LIMIT, stopped
from pymachine.cli.wiring import Wiring
from pymachine.engine.client import EngineAnswer
from pymachine.model import Certificates, Endpoint, Fault, Machine, Phase
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_driver import FakeCloud

AT = "2026-11-25T00:00:00+00:00"
NOW = 1_795_564_800.0  # AT
READY = Machine("node1", "id1", "fake", Phase.READY, endpoint=Endpoint("192.0.2.7"))


@pytest.fixture
def errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Machine], list[str]]:
    """What ls says in the column ERRORS of a machine whose engine answers."""

    def ask(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
        return EngineAnswer("26.1.5", "1.45", "1.24", "linux", "amd64", 0.01)

    def listed(machine: Machine) -> list[str]:
        store = SqliteStore.open(tmp_path)
        store.put(machine)
        store.close()
        cloud = FakeCloud()
        wiring = Wiring(ask_engine=ask, load_driver=lambda _: cloud.driver(), now=lambda: NOW)
        assert main(["-s", str(tmp_path), "ls", "--json"], wiring=wiring) == 0
        (row,) = json.loads(capsys.readouterr().out)
        found: list[str] = row["errors"]
        return found

    return listed


def test_nothing_is_said_of_a_machine_that_is_well(errors: Callable[[Machine], list[str]]) -> None:
    assert errors(READY) == []


def test_a_ready_machine_shows_where_its_last_change_stopped(errors: Callable[[Machine], list[str]]) -> None:
    fault = Fault("setting up the engine", "the engine refuses this\nfor reasons", AT, "provision")
    assert errors(replace(READY, fault=fault)) == [
        "provision stopped at setting up the engine: the engine refuses this"
    ]


def test_certificates_that_end_soon_come_with_what_renews_them(errors: Callable[[Machine], list[str]]) -> None:
    ends = ("2036-11-25T00:00:00+00:00", "2027-12-25T00:00:00+00:00", "2026-12-05T00:00:00+00:00")
    machine = replace(READY, certificates=Certificates("a", "b", "c", *ends))
    assert errors(machine) == ["certificates end in 10 days: `pymachine provision node1` renews them"]


def test_a_fault_is_told_with_its_verb_in_one_short_line() -> None:
    text = stopped(Fault("setting up the engine", "x" * 500 + "\nmore", AT, "provision"))
    assert text.startswith("provision stopped at setting up the engine: xxx")
    assert len(text.partition(": ")[2]) == FAULT_LIMIT
    assert "\n" not in text


def test_a_short_fault_is_told_whole() -> None:
    fault = Fault("taking the set-up off the host", "no way to 192.0.2.7:22", AT, "rm")
    assert stopped(fault) == "rm stopped at taking the set-up off the host: no way to 192.0.2.7:22"


def test_a_fault_of_before_verbs_were_noted_names_none() -> None:
    assert stopped(Fault("completing", "no room", AT)) == "the last change stopped at completing: no room"
