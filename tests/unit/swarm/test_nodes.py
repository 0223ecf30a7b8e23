"""What nodes are made to be, and how they leave, with the majority of the managers kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymachine.errors import CheckFailed, EngineError, QuorumLost, Unreachable, UsageFault
from pymachine.fleet.inventory.model import NodeSpec, SwarmSpec
from pymachine.remove import remove
from pymachine.swarm import adjust, change, init, label, leave, remove_node, rotate, status, unlock, update
from pymachine.swarm.control import UNLOCK_KEY
from pymachine.swarm_api.protocol import Rotation
from unit.swarming import MANAGER, WORKER, SwarmWorld


@pytest.fixture
def world(tmp_path: Path) -> SwarmWorld:
    return SwarmWorld(tmp_path)


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
    assert world.store.secrets("m1")[UNLOCK_KEY] == b""
    view = status(world.tools)
    assert (view.quorum.managers, view.spoken_to) == (2, "m2")


def test_the_last_manager_is_neither_demoted_nor_let_go(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with pytest.raises(CheckFailed, match=r"m1 .*manager"):
        change("m1", world.tools, role="worker")
    with pytest.raises(CheckFailed, match=r"m1 .*manager"):
        leave("m1", world.tools)
    assert status(world.tools).healthy


def test_nobody_is_demoted_when_the_rest_were_no_majority(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m3")
    with pytest.raises(CheckFailed, match="1 of 2 managers"):
        change("m2", world.tools, role="worker")
    with pytest.raises(CheckFailed, match="quorum"):
        leave("m2", world.tools)
    assert world.calls("m2").count("leave") == 0


def test_a_dead_manager_can_be_taken_off_the_list(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m3")
    with pytest.raises(Unreachable) as refused:
        leave("m3", world.tools)
    assert "swarm leave --force m3" in str(refused.value.hint)
    assert leave("m3", world.tools, force=True).swarm is None
    view = status(world.tools)
    assert ([m.machine for m in view.members], view.quorum.managers) == (["m1", "m2"], 2)


def test_a_node_whose_machine_is_gone_can_be_taken_off_the_list(world: SwarmWorld) -> None:
    names = world.swarm(3)
    place = world.record("m3").swarm
    assert place is not None
    world.cut("m3")
    remove("m3", world.tools, force=True)
    remove_node(place.node, world.tools, via=names[:2])
    remove_node(place.node, world.tools, via=names[:2])
    assert len(status(world.tools).nodes) == 2


def test_leave_drains_demotes_leaves_and_removes_in_this_order(world: SwarmWorld) -> None:
    world.swarm(3)
    with world.clusters.host(world.address("m3")) as host:
        host.tasks = 3
    leave("m3", world.tools)
    asked = [call for call in world.calls("m1") if call in ("change_node", "tasks_on", "remove_node")]
    assert asked[-6:] == ["tasks_on", "tasks_on", "tasks_on", "tasks_on", "change_node", "remove_node"]
    assert "leave" in world.calls("m3")
    assert "leave forced" not in world.calls("m3")
    assert world.record("m3").swarm is None


def test_one_of_two_managers_can_leave(world: SwarmWorld) -> None:
    world.swarm(2)
    leave("m2", world.tools)
    assert status(world.tools).quorum.managers == 1


def test_leave_of_who_is_in_no_swarm_changes_nothing(world: SwarmWorld) -> None:
    world.machines("m1")
    assert leave("m1", world.tools).swarm is None
    assert "leave" not in world.calls("m1")


def test_dissolve_ends_the_swarm_once_the_workers_are_out(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with pytest.raises(CheckFailed, match="host-2 "):
        leave("m1", world.tools, dissolve=True)
    leave("w1", world.tools, dissolve=True)
    assert leave("m1", world.tools, dissolve=True).swarm is None
    with pytest.raises(CheckFailed, match="member"):
        status(world.tools)


def test_rm_refuses_a_member_but_not_by_force(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with pytest.raises(CheckFailed, match=r"w1 .*worker") as refused:
        remove("w1", world.tools)
    assert "pymachine swarm leave w1" in str(refused.value.hint)


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


def test_settings_that_lock_managers_store_the_key_with_all(world: SwarmWorld) -> None:
    names = world.swarm(3)
    assert not world.store.secrets("m2").get(UNLOCK_KEY)
    update(SwarmSpec(autolock=True, task_history=2), world.tools, via=names)
    keys = {world.store.secrets(name)[UNLOCK_KEY].decode() for name in names}
    assert len(keys) == 1
    assert keys <= set(world.clusters.secrets())
    assert status(world.tools).autolock


def test_a_new_unlock_key_is_stored_with_all(world: SwarmWorld) -> None:
    names = world.swarm(3, autolock=True)
    before = world.store.secrets("m1")[UNLOCK_KEY]
    rotate(Rotation(unlock_key=True), world.tools, via=names)
    assert {world.store.secrets(name)[UNLOCK_KEY] for name in names}.isdisjoint({before})


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


def test_without_a_majority_nothing_is_changed_and_the_way_out_is_said(world: SwarmWorld) -> None:
    world.swarm(3, 1)
    world.cut("m2", "m3")
    with pytest.raises(QuorumLost) as lost:
        change("w1", world.tools, availability="drain")
    assert "managers" in str(lost.value.hint)
    view = status(world.tools)
    assert (view.lost, view.silent, view.nodes) == (True, ("m2", "m3"), ())


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


def test_adjust_of_a_machine_that_is_no_member_is_refused(world: SwarmWorld) -> None:
    names = world.swarm(1)
    world.machines("w1")
    with pytest.raises(CheckFailed, match=r"w1 .*member"):
        adjust("w1", WORKER, world.tools)
    with pytest.raises(CheckFailed, match=r"w1 .* m1"):
        adjust("w1", WORKER, world.tools, via=names)


def remove_node_by_hand(world: SwarmWorld, node: str) -> None:
    endpoint = world.record("m1").endpoint
    assert endpoint is not None
    with world.clusters.connect(endpoint, None, deadline=1) as engine:
        engine.remove_node(node, force=True)
