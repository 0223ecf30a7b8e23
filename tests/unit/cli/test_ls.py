"""What ``ls`` says of a machine that is ready, and of the last change that stopped."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pymachine.cli import main
from pymachine.cli.client_env import has_expired
from pymachine.cli.dependencies import Wiring
from pymachine.cli.lookup import FAULT_LIMIT, stopped
from pymachine.driver import Driver
from pymachine.engine.client import EngineAnswer
from pymachine.errors import DriverMissing
from pymachine.model import Certificates, Endpoint, Fault, Machine, Phase
from pymachine.store.client_files import CLIENT_FILES
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
    assert errors(machine) == ["certificates expire in 10 days: `pymachine provision node1` renews them"]


def test_a_fault_is_told_with_its_verb_in_one_short_line() -> None:
    text = stopped(Fault("setting up the engine", "x" * 500 + "\nmore", AT, "provision"))
    assert text.startswith("provision ")
    assert ": xxx" in text
    assert len(text.partition(": ")[2]) == FAULT_LIMIT
    assert "\n" not in text


def test_a_short_fault_is_told_whole() -> None:
    fault = Fault("removing the set-up from the host", "cannot reach 192.0.2.7:22", AT, "rm")
    assert stopped(fault).startswith("rm ")
    assert stopped(fault).endswith(": cannot reach 192.0.2.7:22")


def test_a_fault_of_before_verbs_were_noted_names_none() -> None:
    assert stopped(Fault("completing", "no room", AT)).endswith(" completing: no room")


def run(tmp_path: Path, machine: Machine, *words: str, missing: bool = False) -> int:
    """Run one command on a store with this machine, whose driver may be gone."""

    def load(name: str) -> type[Driver]:
        if missing:
            raise DriverMissing(f"no driver {name}")
        return FakeCloud().driver()

    with SqliteStore.open(tmp_path) as store:
        store.put(machine, secrets=dict.fromkeys(CLIENT_FILES, b"x"))
        store.materialise(machine.name)
    return main(["-s", str(tmp_path), *words], wiring=Wiring(load_driver=load, now=lambda: NOW))


def test_a_state_that_does_not_exist_is_no_empty_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, READY, "ls", "--filter", "state=bogus") == 2
    assert "'bogus'" in capsys.readouterr().err


@pytest.mark.parametrize("asked", ["label=", "label==7"])
def test_a_label_without_a_name_is_no_empty_list(tmp_path: Path, asked: str) -> None:
    assert run(tmp_path, READY, "ls", "--filter", asked) == 2


@pytest.mark.parametrize("command", [["ls"], ["status", "node1"], ["doctor"]])
@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "0", "1e400", "86401"])
def test_a_time_limit_is_a_limit(tmp_path: Path, command: list[str], seconds: str) -> None:
    assert run(tmp_path, READY, *command, "--timeout", seconds) == 2


def test_a_driver_that_does_not_exist_is_no_empty_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, READY, "ls", "-q", "--filter", "driver=kmv") == 2
    assert "'kmv'" in capsys.readouterr().err
    assert run(tmp_path, replace(READY, name="node2", id="id2"), "ls", "-q", "--filter", "driver=ssh") == 0
    assert main(["-s", str(tmp_path), "ls", "-q", "--filter", "driver=fake"]) == 0, "its driver need not be there"
    assert capsys.readouterr().out == "node1\nnode2\n"


@pytest.mark.parametrize("asked", ["driver=ssh", "label=rack"])
def test_a_record_that_cannot_be_read_is_not_left_out_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    assert run(tmp_path, READY, "ls", "-q") == 0
    with closing(sqlite3.connect(tmp_path / "state.db")) as database, database:
        database.execute("UPDATE machine SET document = '{'")
    capsys.readouterr()
    assert main(["-s", str(tmp_path), "ls", "-q", "--filter", asked]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "node1" in err


def test_the_status_of_a_machine_whose_driver_is_gone_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = replace(READY, phase=Phase.ALLOCATED, handle={"id": "x"})
    assert run(tmp_path, machine, "status", "node1", missing=True) == 1
    out, err = capsys.readouterr()
    assert out == "Error\n"
    assert "no driver fake" in err


@pytest.mark.parametrize("words", [("env", "node1"), ("config", "node1"), ("env", "--json", "node1")])
@pytest.mark.parametrize("ended", ["client_expires", "ca_expires"])
def test_an_expired_certificate_is_said_before_the_engine_refuses_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], ended: str
) -> None:
    later, past = "2036-11-25T00:00:00+00:00", "2026-11-24T23:59:59+00:00"
    ends = {"ca_expires": later, "server_expires": later, "client_expires": later, ended: past}
    certificates = Certificates("a", "b", "c", ends["ca_expires"], ends["server_expires"], ends["client_expires"])
    assert run(tmp_path, replace(READY, certificates=certificates), *words) == 0
    assert "expired on 2026-11-24: `pymachine provision node1`" in capsys.readouterr().err
    fresh = replace(READY, name="node2", id="id2", certificates=Certificates("a", "b", "c", later, later, later))
    assert run(tmp_path, fresh, words[0], "node2") == 0
    assert "expired" not in capsys.readouterr().err


def test_the_fast_way_leaves_an_expired_certificate_to_the_full_one() -> None:
    ends = {"client_expires": "2026-11-24T23:59:59+00:00", "ca_expires": "2036-11-25T00:00:00+00:00"}
    assert has_expired({"certificates": ends}, NOW)
    assert not has_expired({"certificates": ends}, NOW - 86400)
    assert not has_expired({"certificates": None}, NOW)
