"""Nodes that leave a Swarm, with the majority of its managers kept."""

from __future__ import annotations

import pytest

from pymachine.errors import CheckFailed, Unreachable
from pymachine.remove import remove
from pymachine.swarm import change, leave, remove_node, status
from unit.swarming import SwarmWorld


def test_the_last_manager_is_neither_demoted_nor_let_go(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with pytest.raises(CheckFailed, match=r"m1 .*manager"):
        change("m1", world.tools, role="worker")
    with pytest.raises(CheckFailed, match=r"m1 .*manager"):
        leave("m1", world.tools)
    assert status(world.tools).healthy


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
