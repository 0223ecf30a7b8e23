"""Verbs given by hand to machines that are nodes: drained where their engines restart, and in turn."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from patience import LIMIT
from pymachine.cli.parallel import for_each
from pymachine.engine.client import EngineAnswer
from pymachine.engine.effects import Effect
from pymachine.errors import CheckFailed, EngineError, Interrupted, SeveralFailed, TlsError
from pymachine.interruption import Stoppable
from pymachine.model import Endpoint
from pymachine.provision import preview_provision
from pymachine.steps.engine import SetUpEngine
from pymachine.swarm import drained, drained_in, provision_node, restart_node, status, turns
from pymachine.swarm_api.protocol import ClusterEngine
from pymachine.testing.recorder import RecordingReporter
from unit.swarming import SwarmWorld
from unit.world import ENGINE

ENV = {"env": ("FOO=bar",)}
DRAIN, BACK = "swarm drain", "swarm activate"


@pytest.fixture
def world(tmp_path: Path) -> SwarmWorld:
    made = SwarmWorld(tmp_path / "store")
    made.facts |= ENGINE
    return made


def steps(world: SwarmWorld, name: str) -> list[str]:
    return [step for step in world.reporter.steps(name) if step in (DRAIN, BACK, SetUpEngine.title, "restart")]


def test_the_nodes_of_a_swarm_take_turns_managers_first_and_the_leader_last(world: SwarmWorld) -> None:
    world.swarm(3, 2)
    world.machines("apart")
    assert turns(["w1", "m1", "apart", "m3", "w2", "m2"], world.tools) == [["m3", "m2", "m1", "w1", "w2"], ["apart"]]


def test_a_node_is_drained_while_its_engine_is_configured(world: SwarmWorld) -> None:
    world.swarm(3)
    world.reporter.events.clear()
    provision_node("m2", world.tools, spec_changes=ENV)
    assert steps(world, "m2") == [DRAIN, SetUpEngine.title, BACK]


def test_a_node_whose_engine_does_not_answer_us_is_drained_if_the_managers_count_on_it(world: SwarmWorld) -> None:
    """Its certificate has ended, and the provision is what renews it."""
    world.swarm(3)
    world.reporter.events.clear()
    state = {"ended": True}

    def connect(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> ClusterEngine:
        if endpoint.host == world.address("m2") and state["ended"]:
            raise TlsError("the certificate has ended")
        return world.clusters.connect(endpoint, folder, deadline=deadline)

    def renewed(*given: Any, **how: Any) -> EngineAnswer:
        state["ended"] = False
        return world.engine.ask(*given, **how)

    tools = replace(world.tools, connect_cluster=connect, ask_engine=renewed)
    provision_node("m2", tools, spec_changes=ENV)
    assert steps(world, "m2") == [DRAIN, SetUpEngine.title, BACK]


def test_a_node_is_not_drained_where_it_is_not_wanted(world: SwarmWorld) -> None:
    world.swarm(3)
    world.reporter.events.clear()
    provision_node("m2", world.tools, spec_changes=ENV, drain=False)
    assert steps(world, "m2") == [SetUpEngine.title]


def test_a_restart_that_the_quorum_does_not_bear_is_refused(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m3")
    world.reporter.events.clear()
    with pytest.raises(CheckFailed, match="quorum"):
        restart_node("m2", world.tools)
    assert "restart" not in steps(world, "m2")


def test_the_dry_run_says_that_the_engine_restarts_and_the_node_is_drained(world: SwarmWorld) -> None:
    world.swarm(3)
    preview = drained_in(preview_provision("m2", world.tools, spec_changes=ENV), world.tools)
    assert Effect.RESTART_ENGINE in preview.effects
    assert preview.drained


def test_one_that_fails_ends_its_turns_and_no_others() -> None:
    told: list[str] = []

    def work(name: str) -> str:
        if name == "b":
            raise CheckFailed("it is broken")
        return name

    with pytest.raises(SeveralFailed) as caught:
        for_each(["a", "b", "c", "d"], work, lambda name, _: told.append(name), turns=[["a", "b", "c"], ["d"]])
    assert sorted(told) == ["a", "d"]
    assert {name: error.message for name, error in caught.value.failures.items()} == {
        "b": "it is broken", "c": "not started: b failed before it",
    }  # fmt: skip


def test_a_node_that_was_left_drained_gets_its_tasks_back_by_the_next_provision(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with pytest.raises(SystemExit), drained("w1", world.tools):
        raise SystemExit  # as a process ends that is killed: nothing is put right
    provision_node("w1", world.tools)
    node = status(world.tools).node_of("w1")
    assert node is not None
    assert node.availability == "active"


def test_ctrl_c_waits_for_those_at_work_and_tells_what_became_of_each() -> None:
    reporter = Stoppable(RecordingReporter())
    at_work = threading.Barrier(3, timeout=LIMIT)

    def work(name: str) -> str:
        if name == "bad":
            raise EngineError("broken")
        at_work.wait()
        while not reporter.stopped():
            time.sleep(0.01)
        reporter.started(name, "next")
        return name

    def interrupt() -> None:
        at_work.wait()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(Interrupted) as caught:
        for_each(
            ["bad", "a", "b", "late"], work, lambda name, _: None, turns=[["bad"], ["a", "late"], ["b"]],
            stop=reporter.stop,
        )  # fmt: skip
    told = dict(part.split(": ", 1) for part in caught.value.message.split("; ")[1:])
    assert told == {"failed": "bad (broken)", "stopped": "a, b", "not started": "late"}
