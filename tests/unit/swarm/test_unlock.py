"""Managers that are locked after a restart."""

from __future__ import annotations

import pytest

from pymachine.errors import EngineError
from pymachine.swarm import change, status, unlock
from pymachine.swarm.control import UNLOCK_KEY
from unit.swarming import SwarmWorld


def test_a_locked_manager_is_unlocked_with_the_key_in_the_store(world: SwarmWorld) -> None:
    world.swarm(3, autolock=True)
    world.clusters.restart(world.address("m2"))
    assert status(world.tools).locked == ("m2",)
    assert unlock("m2", world.tools)
    assert not unlock("m2", world.tools)
    assert status(world.tools).healthy


def test_verbs_unlock_the_only_manager_on_their_way(world: SwarmWorld) -> None:
    world.swarm(1, 1, autolock=True)
    world.clusters.restart(world.address("m1"))
    change("w1", world.tools, availability="pause")
    assert status(world.tools).healthy


def test_a_locked_manager_without_a_key_says_so_and_takes_one(world: SwarmWorld) -> None:
    world.swarm(1, autolock=True)
    key = world.store.secrets("m1")[UNLOCK_KEY]
    world.store.put(world.record("m1"), secrets={UNLOCK_KEY: b""})
    world.clusters.restart(world.address("m1"))
    with pytest.raises(EngineError, match=r"m1 .*key") as failed:
        unlock("m1", world.tools)
    assert "--key-stdin" in str(failed.value.hint)
    assert unlock("m1", world.tools, key=key.decode())
    assert world.store.secrets("m1")[UNLOCK_KEY] == key
