"""Looking at machines whose driver sees many at once: one question for all, at the first engine that is silent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from patience import AGES, gives_up
from pymachine.driver import Driver, Handle, Status
from pymachine.engine.client import EngineAnswer
from pymachine.errors import DriverError, DriverMissing, EngineError, PymachineError, Unreachable
from pymachine.fleet.apply.subprocesses import Computer
from pymachine.fleet.apply.survey import observe_fleet
from pymachine.fleet.inventory import Fleet
from pymachine.model import Endpoint, Machine, Phase, State
from pymachine.probe import ProbeResult, probe_machines
from pymachine.steps.services import Services
from pymachine.testing.mobile_cloud import MobileCloud
from unit.clouds import CloudWorld

ANSWER = EngineAnswer("26.1.5", "1.45", "1.24", "linux", "amd64", 0.25)


class Several:
    """Machines of one cloud by two names of its driver; the engines of ``silent`` ones do not answer."""

    def __init__(self, folder: Path) -> None:
        self.world = CloudWorld(folder)
        self.cloud: MobileCloud = self.world.moving
        self.kind = self.cloud.driver()
        self.loaded: list[str] = []
        self.error: PymachineError = Unreachable("no answer")
        self.silent: set[str] = set()
        self.machines: list[Machine] = []

    def add(self, name: str, driver: str = "cloud", *, silent: bool = False, **changes: Any) -> Machine:
        """Add a machine that runs."""
        self.cloud.set_state(name, State.RUNNING)
        address = self.cloud.move(name)
        machine = Machine(
            name, name, driver, Phase.READY, handle={"id": name}, endpoint=Endpoint(address), addresses=(address,)
        ).with_(**changes)
        self.machines.append(self.world.store.put(machine, secrets={"ca.pem": b"", "cert.pem": b"", "key.pem": b""}))
        self.silent |= {address} if silent else set()
        return machine

    def result(self, timeout: float = 5.0) -> dict[str, ProbeResult]:
        """Look at all of them."""
        return probe_machines(self.machines, self.tools, timeout)

    @property
    def tools(self) -> Services:
        """The tools of a probe."""
        return replace(self.world.tools, load_driver=self._load, ask_engine=self._ask)

    def _load(self, name: str) -> type[Driver]:
        self.loaded.append(name)
        if name not in ("cloud", "alias"):
            raise DriverMissing(f"no driver {name!r}")
        return self.kind

    def _ask(self, endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
        if endpoint.host in self.silent:
            raise self.error
        return ANSWER


@pytest.fixture
def several(tmp_path: Path) -> Several:
    return Several(tmp_path / "several")


def slow(several: Several, inspect_all: Callable[..., Sequence[Status]]) -> None:
    """Have the driver look at many in this way."""
    several.kind = type("Slow", (several.kind,), {"inspect_all": staticmethod(inspect_all)})


def test_nobody_asks_the_driver_while_all_engines_answer(several: Several) -> None:
    for name in "abc":
        several.add(name)
    assert {result.state for result in several.result().values()} == {State.RUNNING}
    assert (several.cloud.calls, several.loaded) == ([], [])


def test_one_question_serves_all_machines_whatever_the_driver_is_called(several: Several) -> None:
    for name in ("a", "b", "c"):
        several.add(name, silent=True)
    several.add("d", "alias", silent=True)
    several.add("e", "alias", silent=True, adopted="e")
    several.cloud.set_state("c", State.STOPPED)
    several.cloud.set_state("d", None)
    results = several.result()
    states = [results[name].state for name in "abcde"]
    assert states == [State.RUNNING, State.RUNNING, State.STOPPED, State.MISSING, State.RUNNING]
    assert several.cloud.calls == ["inspect_all"]
    assert results["a"].reason == "no answer"


def test_a_machine_of_another_driver_that_is_missing_does_not_disturb(several: Several) -> None:
    several.add("a", silent=True)
    several.add("b", "gone", silent=True)
    results = several.result()
    assert (results["a"].state, results["b"].state) == (State.RUNNING, State.ERROR)
    assert several.cloud.calls == ["inspect_all"]


def test_a_silent_machine_of_a_driver_that_sees_one_at_a_time_loads_no_other(several: Several) -> None:
    several.cloud.lacking = {"inspect_all"}
    several.kind = several.cloud.driver()
    several.add("a", silent=True)
    several.add("b", "alias")
    assert several.result()["a"].state is State.RUNNING
    assert (several.cloud.calls, set(several.loaded)) == (["inspect"], {"cloud"})


def test_a_machine_without_a_host_is_not_asked_about(several: Several) -> None:
    asked: list[Handle] = []

    def result(handles: Sequence[Handle], *, deadline: float) -> Sequence[Status]:
        assert 0 < deadline <= 5
        asked.extend(handles)
        return [Status(State.STOPPED) for _ in handles]

    slow(several, result)
    several.add("a", silent=True)
    several.add("b", handle=None, phase=Phase.REQUESTED)
    several.add("c", phase=Phase.REACHABLE)
    results = several.result()
    assert [results[name].state for name in "abc"] == [State.STOPPED, State.MISSING, State.STOPPED]
    assert asked == [{"id": "a"}, {"id": "c"}]


def test_what_the_driver_cannot_see_is_an_error_of_each(several: Several) -> None:
    several.cloud.fail("inspect_all", DriverError("the session has expired"))
    several.add("a", silent=True)
    several.add("b", silent=True)
    several.add("c")
    results = several.result()
    assert [results[name].state for name in "abc"] == [State.ERROR, State.ERROR, State.RUNNING]
    assert results["b"].reason == "the session has expired"


def test_a_driver_that_is_late_costs_only_what_it_was_asked_for(several: Several) -> None:
    release = threading.Event()

    def hang(handles: Sequence[Handle], *, deadline: float) -> Sequence[Status]:
        release.wait(AGES)
        return [Status(State.RUNNING) for _ in handles]

    slow(several, hang)
    several.add("a", silent=True)
    several.add("b", silent=True)
    several.add("c")
    with gives_up():
        results = several.result(0.5)
    release.set()
    assert [results[name].state for name in "abc"] == [State.TIMEOUT, State.TIMEOUT, State.RUNNING]


@pytest.mark.parametrize("error", [Unreachable("no answer"), EngineError("another engine answers")])
def test_a_machine_that_moved_is_said_where_to(error: PymachineError, several: Several) -> None:
    several.error = error
    several.add("a", silent=True)
    address = several.cloud.move("a")
    result = several.result()["a"]
    assert (result.state, result.moved) == (State.RUNNING, True)
    assert f" {address}: `pymachine start a`" in result.reason


def test_a_machine_whose_driver_cannot_follow_is_only_silent(several: Several) -> None:
    several.cloud.lacking = {"whereabouts"}
    several.kind = several.cloud.driver()
    several.add("a", silent=True)
    several.cloud.move("a")
    assert several.result()["a"].reason == "no answer"


def test_one_machine_alone_is_asked_about_in_the_same_way(several: Several) -> None:
    several.add("a", silent=True)
    assert probe_machines(several.machines[:1], several.tools, 5.0)["a"].state is State.RUNNING
    assert several.cloud.calls == ["inspect_all"]


def test_the_look_at_a_fleet_asks_once_as_well(several: Several) -> None:
    for name in "abc":
        several.add(name, fleet="shop")
        several.cloud.set_state(name, State.STOPPED)
    records = {machine.name: machine for machine in several.machines}
    known = observe_fleet(Fleet("shop", ()), records, several.tools, computer=Computer())
    assert [known.findings[name].state for name in "abc"] == [State.STOPPED] * 3
    assert several.cloud.calls == ["inspect_all"]
