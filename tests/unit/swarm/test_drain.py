"""Nodes that are drained for a while, and given back their availability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from pymachine.errors import CheckFailed, EngineError, Interrupted, LeaseHeld, PymachineError, StepFailed
from pymachine.interruption import Stoppable
from pymachine.model import Endpoint
from pymachine.swarm import (
    change,
    drained,
    status,
)
from pymachine.swarm.drain import give_back_left
from pymachine.swarm.quorum_lease import drain_lease
from pymachine.testing.fake_cluster import FakeEngine
from unit.swarming import Died, SwarmWorld
from unit.world import NOW


def ends(how: BaseException, after: Callable[[], None]) -> None:
    after()
    raise how


@pytest.mark.parametrize("before", ["active", "pause", "drain"])
def test_a_drained_node_gets_back_the_availability_it_had(world: SwarmWorld, before: str) -> None:
    world.swarm(1, 1)
    change("w1", world.tools, availability=before)
    with drained("w1", world.tools):
        assert world.availability("w1") == "drain"
    assert world.availability("w1") == before


def test_the_machine_is_free_for_other_verbs_while_it_is_drained(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with drained("w1", world.tools):
        assert world.store.holder("w1") is None


def test_one_that_died_while_its_node_was_drained_is_put_right_by_the_next(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    change("w1", world.tools, availability="pause")
    with pytest.raises(Died), drained("w1", world.tools):
        raise Died
    assert world.availability("w1") == "drain"
    with drained("w1", world.tools):
        pass
    assert world.availability("w1") == "pause"


def test_a_node_that_is_whole_is_given_back_when_the_work_on_it_failed(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with pytest.raises(PymachineError, match="no such version"), drained("w1", world.tools):
        raise EngineError("no such version")
    assert world.availability("w1") == "active"


@pytest.mark.parametrize("how", [KeyboardInterrupt(), Interrupted("between two steps")], ids=["ctrl-c", "stopped"])
def test_a_node_is_given_back_when_the_work_on_it_is_interrupted(world: SwarmWorld, how: BaseException) -> None:
    world.swarm(1, 1)
    reporter = Stoppable(world.reporter)
    with pytest.raises(type(how)), drained("w1", replace(world.tools, reporter=reporter)):
        ends(how, reporter.stop)
    assert world.availability("w1") == "active"


def test_a_node_is_given_back_when_draining_it_is_interrupted(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    reporter = Stoppable(world.reporter)

    class Engine(FakeEngine):
        @override
        def tasks_on(self, node: str) -> int:
            reporter.stop()
            return 1

    def connect(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> FakeEngine:
        return Engine(world.clusters, endpoint.host)

    tools = replace(world.tools, reporter=reporter, connect_cluster=connect)
    with pytest.raises(Interrupted), drained("w1", tools):
        pytest.fail("it was let in")
    assert world.availability("w1") == "active"


def test_an_engine_that_restarts_when_the_work_is_interrupted_is_waited_for(world: SwarmWorld) -> None:
    world.swarm(1)

    def restarts() -> None:
        world.cut("m1")
        world.clock.later = (world.clock.seconds - NOW + 20.0, lambda: world.clusters.restart(world.address("m1")))

    with pytest.raises(KeyboardInterrupt), drained("m1", world.tools):
        ends(KeyboardInterrupt(), restarts)
    assert world.availability("m1") == "active"


@pytest.mark.parametrize("how", [KeyboardInterrupt(), Interrupted("between two steps")], ids=["ctrl-c", "stopped"])
def test_one_that_stays_drained_after_an_interruption_is_told_of(world: SwarmWorld, how: BaseException) -> None:
    world.swarm(1, 1)
    with pytest.raises(Interrupted) as caught, drained("w1", world.tools):
        ends(how, lambda: world.cut("w1"))
    assert "swarm activate w1" in (caught.value.hint or "")
    assert world.availability("w1") == "drain"


def test_a_refusal_with_a_node_that_stays_drained_is_a_failure(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with pytest.raises(StepFailed) as caught, drained("w1", world.tools):
        ends(CheckFailed("it is too old"), lambda: world.cut("w1"))
    assert caught.value.exit_code == 1
    assert "swarm activate w1" in (caught.value.hint or "")


def test_what_one_that_died_has_left_is_given_back_and_what_is_worked_on_is_not(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with drained("w1", world.tools):
        give_back_left("w1", world.tools)
        assert world.availability("w1") == "drain"
    with pytest.raises(Died), drained("w1", world.tools):
        raise Died
    give_back_left("w1", world.tools)
    assert world.availability("w1") == "active"


def test_a_node_is_drained_for_one_thing_at_a_time(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with drained("w1", world.tools):
        with pytest.raises(LeaseHeld) as held, drained("w1", world.tools):
            pytest.fail("it was let in")
        assert held.value.lease == drain_lease("w1")
        assert world.availability("w1") == "drain"
    assert world.availability("w1") == "active"


def test_a_node_that_broke_stays_drained(world: SwarmWorld) -> None:
    world.swarm(1, 1)

    def breaks() -> None:
        world.cut("w1")
        raise EngineError("it broke")

    with pytest.raises(EngineError, match="it broke"), drained("w1", world.tools):
        breaks()
    assert world.availability("w1") == "drain"


def test_a_manager_that_restarted_locked_is_unlocked_and_waited_for(world: SwarmWorld) -> None:
    world.swarm(3, autolock=True)
    with drained("m1", world.tools):
        world.clusters.restart(world.address("m1"))
    assert status(world.tools).healthy


def test_no_manager_is_taken_down_while_another_one_is(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m3")
    with pytest.raises(CheckFailed, match="2 of 3 managers answer, 2 must"), drained("m1", world.tools):
        pytest.fail("it was let in")
    assert world.availability("m1") == "active"


def test_the_only_manager_may_be_taken_down(world: SwarmWorld) -> None:
    world.swarm(1)
    with drained("m1", world.tools):
        world.clusters.restart(world.address("m1"))
    assert world.availability("m1") == "active"
