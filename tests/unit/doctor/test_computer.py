"""What is examined of this computer, with programs, drivers and a store in every state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pymachine.doctor import Diagnosis, computer_examinations, examine
from pymachine.doctor.kernel_clock import is_synchronised
from pymachine.driver import Driver, Handle, Health, HealthCheck
from pymachine.errors import DeadlineExceeded, DriverMissing, PymachineError
from pymachine.fleet.apply.subprocesses import CompletedProgram, Computer, NotInstalled
from pymachine.store.integrity import integrity_faults
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_driver import FakeDriver
from unit.world import World


@dataclass
class Programs:
    """The programs of this computer: what each prints, or how it fails."""

    answers: dict[str, CompletedProgram | PymachineError] = field(default_factory=dict)
    environs: list[Mapping[str, str]] = field(default_factory=list)

    def run(self, words: Sequence[str], environ: Mapping[str, str], **how: Any) -> CompletedProgram:
        """Answer as the program of these words."""
        assert how["deadline"] > 0
        self.environs.append(environ)
        answer = self.answers.get(" ".join(words[:2]), CompletedProgram(0, ("version 1",), b"2.38.2"))
        if isinstance(answer, PymachineError):
            raise answer
        return answer


def diagnoses(world: World, programs: Programs, *drivers: str) -> dict[str, Diagnosis]:
    """The results by check."""
    environ = {"DOCKER_HOST": "tcp://192.0.2.9:2376"}
    made = computer_examinations(world.tools, drivers, Computer(environ, programs.run), 30.0)
    return {one.check: one for one in examine(made, 30.0, None)}


def test_programs_that_are_there_are_fine_and_no_engine_is_asked(world: World) -> None:
    programs = Programs()
    found = diagnoses(world, programs)
    assert {found[name].health for name in ("ssh", "docker", "compose", "store", "store room")} == {Health.FINE}
    assert found["ssh"].detail == "version 1"
    assert "tcp://192.0.2.9:2376" not in {environ.get("DOCKER_HOST") for environ in programs.environs[1:]}


@pytest.mark.parametrize(
    ("words", "answer", "check", "health"),
    [
        ("ssh -V", NotInstalled("no ssh"), "ssh", Health.FAULT),
        ("ssh -V", CompletedProgram(127, ("broken",)), "ssh", Health.FAULT),
        ("ssh -V", DeadlineExceeded("slow"), "ssh", Health.UNKNOWN),
        ("docker --version", NotInstalled("no docker"), "docker", Health.FAULT),
        ("docker compose", NotInstalled("no docker"), "compose", Health.FAULT),
        ("docker compose", CompletedProgram(1), "compose", Health.FAULT),
        ("docker compose", CompletedProgram(0, (), b"1.29.2"), "compose", Health.FAULT),
        ("docker compose", DeadlineExceeded("slow"), "compose", Health.UNKNOWN),
    ],
)
def test_each_answer_of_a_program(
    world: World, words: str, answer: CompletedProgram | PymachineError, check: str, health: Health
) -> None:
    found = diagnoses(world, Programs({words: answer}))[check]
    assert found.health is health
    assert bool(found.mend) == (health is Health.FAULT)


class Fragile(FakeDriver):
    """A driver that needs something of this computer."""

    asked: Sequence[Handle] = ()

    def health(self, handles: Sequence[Handle], *, deadline: float) -> Sequence[HealthCheck]:
        """Say that it is missing."""
        assert deadline == 30.0
        Fragile.asked = handles
        return [HealthCheck("daemon", Health.FAULT, "not running", "start it")]


def test_a_driver_adds_its_checks_once_and_knows_its_machines(world: World) -> None:
    machine = world.made()
    kind = world.cloud.made_of(Fragile)
    tools = replace(world.tools, load_driver=lambda name: kind)
    made = computer_examinations(tools, ["fake", "other"], Computer({}, Programs().run), 30.0)
    found = [one for one in examine(made, 30.0, None) if one.check == "daemon"]
    assert found == [Diagnosis("", "daemon", Health.FAULT, "not running", "start it")]
    assert Fragile.asked == [machine.handle]


def test_a_driver_without_its_package_is_a_fault_only_where_machines_need_it(world: World) -> None:
    def missing(name: str) -> type[Driver]:
        raise DriverMissing("no boto3", hint="install it")

    tools = replace(world.tools, load_driver=missing)
    made = computer_examinations(tools, ["fake"], Computer({}, Programs().run), 30.0)
    assert "driver fake" not in {one.check for one in examine(made, 30.0, None)}
    world.made()
    made = computer_examinations(tools, ["fake"], Computer({}, Programs().run), 30.0)
    found = {one.check: one for one in examine(made, 30.0, None)}
    assert (found["driver fake"].health, found["driver fake"].mend) == (Health.FAULT, "install it")


def test_a_damaged_database_is_found(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "store") as store:
        for number in range(200):
            store.keep(f"note:{number}", {"text": "x" * 500})
    assert integrity_faults(tmp_path / "store", deadline=10.0) == ()
    file = tmp_path / "store/state.db"
    data = bytearray(file.read_bytes())
    data[20_000:40_000] = b"\xff" * 20_000
    file.write_bytes(data)
    assert integrity_faults(tmp_path / "store", deadline=10.0)
    assert integrity_faults(tmp_path / "nothing", deadline=10.0) == ()


def test_the_kernel_is_asked_about_the_clock() -> None:
    assert is_synchronised() in (True, False)
