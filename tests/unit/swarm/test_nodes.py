"""What nodes are made to be: their labels, role and availability."""

from __future__ import annotations

import pytest

from pymachine.errors import CheckFailed, QuorumLost, UsageFault
from pymachine.fleet.inventory.model import NodeSpec
from pymachine.swarm import adjust, change, label, leave, status
from pymachine.swarm.control import UNLOCK_KEY
from unit.swarming import WORKER, SwarmWorld


def test_adjust_takes_off_the_labels_it_set_and_leaves_those_of_others(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    label("w1", world.tools, put={"theirs": "1"})
    adjust("w1", NodeSpec("worker", {"tier": "web", "disk": "fast"}), world.tools)
    adjust("w1", NodeSpec("worker", {"tier": "db"}), world.tools)
    node = status(world.tools).node_of("w1")
    assert node is not None
    assert node.user_labels == {"theirs": "1", "tier": "db"}


def test_our_own_labels_cannot_be_set(world: SwarmWorld) -> None:
    world.swarm(1)
    with pytest.raises(UsageFault, match=r"pymachine\.machine"):
        label("m1", world.tools, put={"pymachine.machine": "x"})


def test_promote_waits_for_the_role_and_stores_the_key(world: SwarmWorld) -> None:
    world.swarm(1, 1, autolock=True)
    machine = change("w1", world.tools, role="manager")
    assert machine.swarm is not None
    assert machine.swarm.role == "manager"
    assert world.store.secrets("w1")[UNLOCK_KEY] == world.store.secrets("m1")[UNLOCK_KEY]
    assert status(world.tools).quorum.reachable == 2


def test_demote_waits_until_it_is_no_manager_and_forgets_the_key(world: SwarmWorld) -> None:
    world.swarm(3, autolock=True)
    machine = change("m1", world.tools, role="worker")
    assert machine.swarm is not None
    assert machine.swarm.role == "worker"
    assert UNLOCK_KEY not in world.store.secrets("m1")
    view = status(world.tools)
    assert (view.quorum.managers, view.spoken_to) == (2, "m2")


def test_nobody_is_demoted_when_the_rest_were_no_majority(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m3")
    with pytest.raises(CheckFailed, match="1 of 2 managers"):
        change("m2", world.tools, role="worker")
    with pytest.raises(CheckFailed, match="quorum"):
        leave("m2", world.tools)
    assert world.calls("m2").count("leave") == 0


def test_drain_waits_for_the_last_task(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with world.clusters.host(world.address("w1")) as host:
        host.tasks = 4
    change("w1", world.tools, availability="drain")
    node = status(world.tools).node_of("w1")
    assert node is not None
    assert node.availability == "drain"
    assert world.calls("m1").count("tasks_on") == 5


def test_tasks_on_a_node_that_is_down_are_not_waited_for(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with world.clusters.host(world.address("w1")) as host:
        host.tasks, host.cut = 4, True
    change("w1", world.tools, availability="drain")
    assert world.clock.slept == []
    assert "tasks_on" not in world.calls("m1")


def test_without_a_majority_nothing_is_changed_and_the_way_out_is_said(world: SwarmWorld) -> None:
    world.swarm(3, 1)
    world.cut("m2", "m3")
    with pytest.raises(QuorumLost) as lost:
        change("w1", world.tools, availability="drain")
    assert "managers" in str(lost.value.hint)
    view = status(world.tools)
    assert (view.lost, view.silent, view.nodes) == (True, ("m2", "m3"), ())


def test_adjust_of_a_machine_that_is_no_member_is_refused(world: SwarmWorld) -> None:
    names = world.swarm(1)
    world.machines("w1")
    with pytest.raises(CheckFailed, match=r"w1 .*member"):
        adjust("w1", WORKER, world.tools)
    with pytest.raises(CheckFailed, match=r"w1 .* m1"):
        adjust("w1", WORKER, world.tools, via=names)
