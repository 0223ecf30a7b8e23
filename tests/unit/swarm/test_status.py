"""What is known of a Swarm and its nodes."""

from __future__ import annotations

import pytest

from pymachine.errors import CheckFailed
from pymachine.fleet.inventory.model import SwarmSpec
from pymachine.swarm import init, status
from unit.swarming import MANAGER, SwarmWorld


def test_status_names_strangers_and_those_that_are_missing(world: SwarmWorld) -> None:
    world.swarm(1, 2)
    place = world.record("w2").swarm
    assert place is not None
    remove_node_by_hand(world, place.node)
    world.store.remove("w1")
    view = status(world.tools)
    assert ([node.hostname for node in view.strangers], view.missing) == (["host-2"], ("w2",))
    assert not view.healthy


def test_machines_of_two_swarms_have_to_be_told_apart(world: SwarmWorld) -> None:
    world.swarm(1)
    world.machines("other")
    init("other", SwarmSpec(), MANAGER, world.tools)
    with pytest.raises(CheckFailed, match="these are 2 Swarms"):
        status(world.tools)
    assert status(world.tools, ["other"]).leader == "other"


def remove_node_by_hand(world: SwarmWorld, node: str) -> None:
    endpoint = world.record("m1").endpoint
    assert endpoint is not None
    with world.clusters.connect(endpoint, None, deadline=1) as engine:
        engine.remove_node(node, force=True)
