"""Settings of a Swarm that are changed later."""

from __future__ import annotations

from pymachine.fleet.inventory.model import SwarmSpec
from pymachine.swarm import status, update
from pymachine.swarm.control import UNLOCK_KEY
from unit.swarming import SwarmWorld


def test_settings_that_lock_managers_store_the_key_with_all(world: SwarmWorld) -> None:
    names = world.swarm(3)
    assert not world.store.secrets("m2").get(UNLOCK_KEY)
    update(SwarmSpec(autolock=True, task_history=2), world.tools, via=names)
    keys = {world.store.secrets(name)[UNLOCK_KEY].decode() for name in names}
    assert len(keys) == 1
    assert keys <= set(world.clusters.secrets())
    assert status(world.tools).autolock
