"""Nodes drained for a while, upgrades in the order that keeps a majority, and a Swarm that lost it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymachine.errors import CheckFailed, EngineError, PymachineError
from pymachine.inventory.model import SwarmSpec
from pymachine.swarm import (
    change,
    drained,
    init,
    join,
    label,
    leave,
    look_at_loss,
    next_manager,
    recover,
    status,
    upgrade,
)
from pymachine.swarm.reaching import UNLOCK_KEY
from unit.swarming import MANAGER, SwarmWorld


@pytest.fixture
def world(tmp_path: Path) -> SwarmWorld:
    return SwarmWorld(tmp_path)


def availability(world: SwarmWorld, name: str) -> str:
    node = status(world.tools).node_of(name)
    assert node is not None
    return node.availability


@pytest.mark.parametrize("before", ["active", "pause", "drain"])
def test_a_drained_node_gets_back_the_availability_it_had(world: SwarmWorld, before: str) -> None:
    world.swarm(1, 1)
    change("w1", world.tools, availability=before)
    with drained("w1", world.tools):
        assert availability(world, "w1") == "drain"
    assert availability(world, "w1") == before


def test_the_machine_is_free_for_other_verbs_while_it_is_drained(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with drained("w1", world.tools):
        assert world.store.holder("w1") is None


def test_one_that_died_while_its_node_was_drained_is_put_right_by_the_next(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    change("w1", world.tools, availability="pause")
    with pytest.raises(KeyboardInterrupt), drained("w1", world.tools):
        raise KeyboardInterrupt
    assert availability(world, "w1") == "drain"
    with drained("w1", world.tools):
        pass
    assert availability(world, "w1") == "pause"


def test_a_node_that_is_whole_is_given_back_when_the_work_on_it_failed(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with pytest.raises(PymachineError, match="no such version"), drained("w1", world.tools):
        raise EngineError("no such version")
    assert availability(world, "w1") == "active"


def test_a_node_that_broke_stays_drained(world: SwarmWorld) -> None:
    world.swarm(1, 1)

    def breaks() -> None:
        world.cut("w1")
        raise EngineError("it broke")

    with pytest.raises(EngineError, match="it broke"), drained("w1", world.tools):
        breaks()
    assert availability(world, "w1") == "drain"


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
    assert availability(world, "m1") == "active"


def test_the_only_manager_may_be_taken_down(world: SwarmWorld) -> None:
    world.swarm(1)
    with drained("m1", world.tools):
        world.clusters.restart(world.address("m1"))
    assert availability(world, "m1") == "active"


def test_the_leader_comes_last_whoever_it_is_by_then(world: SwarmWorld) -> None:
    world.swarm(3)
    left = ["m1", "m2", "m3"]
    assert next_manager(status(world.tools), left) == "m2"
    world.cut("m1")
    assert next_manager(status(world.tools, ["m2"]), ["m1", "m2", "m3"]) == "m1"
    assert next_manager(status(world.tools), []) is None


def test_upgrade_drains_the_node_and_upgrades_its_engine(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    world.carries(world.record("w1").id)
    world.engine.version = "27.0.0"
    assert upgrade("w1", world.tools).engine_version == "27.0.0"
    kinds = [operation.kind for operation in reversed(world.store.operations("w1"))]
    assert kinds[-3:] == ["swarm drain", "upgrade", "swarm activate"]
    assert availability(world, "w1") == "active"


def test_a_node_that_has_the_version_is_not_drained(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    world.engine.version = "26.1.5+dfsg1"
    with pytest.raises(KeyboardInterrupt), drained("w1", world.tools):
        raise KeyboardInterrupt
    before = len(world.store.operations("w1"))
    upgrade("w1", world.tools, version="26.1")
    kinds = [operation.kind for operation in world.store.operations("w1")]
    assert kinds[: len(kinds) - before] == ["swarm activate"]
    assert availability(world, "w1") == "active"


def test_there_is_nothing_to_recover_while_a_majority_is_there(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m3")
    with pytest.raises(CheckFailed, match="recover"):
        recover(world.tools)
    assert "force_new_cluster" not in world.calls("m1")


def test_a_lost_majority_is_told_with_those_that_are_left(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m1", "m3")
    loss = look_at_loss(world.tools)
    assert (loss.survivors, loss.lost) == (("m2",), ("m1", "m3"))
    assert loss.in_words().startswith("of 3 managers m1, m3 ")


def test_no_survivor_is_no_recovery(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m1", "m2", "m3")
    with pytest.raises(CheckFailed, match="manager"):
        recover(world.tools)


def test_recover_goes_on_with_one_manager_of_the_same_swarm(world: SwarmWorld) -> None:
    world.swarm(3, 1)
    before = world.record("m2").swarm
    world.cut("m1", "m3")
    view = recover(world.tools)
    assert [member.machine for member in view.members] == ["m2", "w1"]
    assert (view.healthy, view.missing) == (False, ("m1", "m3"))
    assert world.record("m2").swarm == before


def test_other_survivors_join_anew_with_the_labels_they_had(world: SwarmWorld) -> None:
    world.swarm(5)
    label("m2", world.tools, put={"tier": "control"})
    world.cut("m3", "m4", "m5")
    view = recover(world.tools, survivor="m1")
    node = view.node_of("m2")
    assert node is not None
    assert (node.user_labels, node.reachable, view.leader) == ({"tier": "control"}, True, "m1")
    with pytest.raises(CheckFailed, match="recover"):
        recover(world.tools, survivor="m2")


def test_the_survivor_has_to_be_one(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m2", "m3")
    with pytest.raises(CheckFailed, match=r"m2 .*manager"):
        recover(world.tools, survivor="m2")


def test_a_lost_manager_that_comes_back_joins_anew(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m1", "m3")
    recover(world.tools)
    for name in ("m1", "m3"):
        world.clusters.restart(world.address(name))
        join(name, MANAGER, world.tools, via=["m2"])
    view = status(world.tools)
    assert (view.healthy, view.quorum.managers) == (True, 3)


def test_a_swarm_that_locks_itself_cannot_be_started_anew_and_is_not_touched(world: SwarmWorld) -> None:
    world.swarm(3, 1, autolock=True)
    world.cut("m1", "m3")
    with pytest.raises(CheckFailed, match="managers lock") as refused:
        recover(world.tools)
    assert "leave -f --dissolve" in str(refused.value.hint)
    assert "force_new_cluster" not in world.calls("m2")
    for name in ("w1", "m1", "m2", "m3"):
        assert leave(name, world.tools, force=True, dissolve=True).swarm is None
    assert init("m2", SwarmSpec(), MANAGER, world.tools).swarm is not None


def test_an_engine_that_could_not_start_anew_says_how_it_becomes_what_it_was(world: SwarmWorld) -> None:
    names = world.swarm(3, autolock=True)
    for name in names:  # as if somebody else had turned the lock on
        world.store.put(world.record(name), secrets={UNLOCK_KEY: b""})
    world.cut("m1", "m3")
    with pytest.raises(EngineError, match=r"m2 .*Swarm") as failed:
        recover(world.tools)
    assert "pymachine restart m2" in str(failed.value.hint)
