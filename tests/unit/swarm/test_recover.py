"""A Swarm that has lost its majority, and its recovery with one manager."""

from __future__ import annotations

import pytest

from pymachine.errors import CheckFailed, EngineError
from pymachine.fleet.inventory.model import SwarmSpec
from pymachine.swarm import (
    init,
    join,
    label,
    leave,
    recover,
    status,
    survey_loss,
)
from pymachine.swarm.control import UNLOCK_KEY
from unit.swarming import MANAGER, SwarmWorld


def test_there_is_nothing_to_recover_while_a_majority_is_there(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m3")
    with pytest.raises(CheckFailed, match="recover"):
        recover(world.tools)
    assert "force_new_cluster" not in world.calls("m1")


def test_a_lost_majority_is_told_with_those_that_are_left(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m1", "m3")
    loss = survey_loss(world.tools)
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
    with pytest.raises(CheckFailed, match="autolock") as refused:
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
