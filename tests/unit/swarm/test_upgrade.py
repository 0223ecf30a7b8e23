"""Upgrades of nodes, in the order that keeps a majority."""

from __future__ import annotations

import pytest

from pymachine.swarm import (
    drained,
    next_manager,
    status,
    upgrade,
)
from unit.swarming import Died, SwarmWorld


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
    assert world.availability("w1") == "active"


def test_a_node_that_has_the_version_is_not_drained(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    world.engine.version = "26.1.5+dfsg1"
    with pytest.raises(Died), drained("w1", world.tools):
        raise Died
    before = len(world.store.operations("w1"))
    upgrade("w1", world.tools, version="26.1")
    kinds = [operation.kind for operation in world.store.operations("w1")]
    assert kinds[: len(kinds) - before] == ["swarm activate"]
    assert world.availability("w1") == "active"
