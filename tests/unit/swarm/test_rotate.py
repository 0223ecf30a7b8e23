"""Secrets of a Swarm that are replaced."""

from __future__ import annotations

from pymachine.swarm import rotate
from pymachine.swarm.control import UNLOCK_KEY
from pymachine.swarm_api.protocol import Rotation
from unit.swarming import SwarmWorld


def test_a_new_unlock_key_is_stored_with_all(world: SwarmWorld) -> None:
    names = world.swarm(3, autolock=True)
    before = world.store.secrets("m1")[UNLOCK_KEY]
    rotate(Rotation(unlock_key=True), world.tools, via=names)
    assert {world.store.secrets(name)[UNLOCK_KEY] for name in names}.isdisjoint({before})
