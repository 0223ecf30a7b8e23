"""Machines that found a Swarm and join it, on engines that keep the rules of real ones."""

from __future__ import annotations

import threading

import pytest

from pymachine.driver import NodePort
from pymachine.errors import CheckFailed, DriverError, EngineError, LeaseHeld, UsageFault
from pymachine.fleet.inventory.model import NodeSpec, SwarmSpec
from pymachine.swarm import init, join, leave, status
from pymachine.swarm.control import UNLOCK_KEY
from pymachine.swarm.node_ports import openings
from pymachine.testing.mobile_cloud import MobileCloud
from unit.swarming import MANAGER, WORKER, SwarmWorld


def test_init_makes_a_manager_and_remembers_which_node_it_is(world: SwarmWorld) -> None:
    world.machines("m1")
    machine = init("m1", SwarmSpec(), NodeSpec("manager", {"tier": "control"}), world.tools)
    view = status(world.tools)
    assert machine.swarm is not None
    assert (machine.swarm.cluster, machine.swarm.node) == (view.id, view.nodes[0].id)
    assert view.nodes[0].user_labels == {"tier": "control"}
    assert view.healthy
    assert world.operation().kind == "swarm init"
    assert world.operation().outcome == "done"


def test_who_founds_or_joins_has_the_ways_between_nodes_opened_first(world: SwarmWorld) -> None:
    world.cloud = cloud = MobileCloud()
    world.machines("m1", "w1")
    init("m1", SwarmSpec(data_path_port=5789), MANAGER, world.tools)
    join("w1", WORKER, world.tools, via=["m1"])
    assert cloud.opened == dict.fromkeys(("m1", "w1"), openings(5789))
    assert NodePort("udp", 5789) in cloud.opened["w1"]
    init("m1", SwarmSpec(data_path_port=5789), MANAGER, world.tools)
    join("w1", WORKER, world.tools, via=["m1"])
    assert cloud.calls.count("interconnect") == 2, "for members it was done"


def test_ways_that_cannot_be_opened_are_told_of_and_tried(world: SwarmWorld) -> None:
    world.cloud = cloud = MobileCloud()
    world.machines("m1")
    cloud.fail("interconnect", DriverError("you may not"))
    assert init("m1", SwarmSpec(), MANAGER, world.tools).swarm is not None
    assert [notice.endswith(": you may not") for notice in world.reporter.notices("m1")] == [True]


def test_init_tells_an_address_of_the_host_and_not_that_of_a_translator(world: SwarmWorld) -> None:
    world.machines("m1")
    world.store.put(world.record("m1").with_(addresses=("10.0.3.4", "172.16.0.9")))
    world.machines("w1")
    world.store.put(world.record("w1").with_(addresses=("172.16.0.10",)))
    init("m1", SwarmSpec(), MANAGER, world.tools, peers=["w1"])
    assert status(world.tools).nodes[0].address == "172.16.0.9"


def test_an_address_given_wins_and_has_to_be_one(world: SwarmWorld) -> None:
    world.machines("m1")
    with pytest.raises(UsageFault, match="advertise"):
        init("m1", SwarmSpec(), NodeSpec("manager", advertise="eth0"), world.tools)
    init("m1", SwarmSpec(), NodeSpec("manager", advertise="198.51.100.7"), world.tools)
    assert status(world.tools).nodes[0].address == "198.51.100.7"


def test_init_again_goes_on_where_a_death_left_it(world: SwarmWorld) -> None:
    world.machines("m1")
    first = init("m1", SwarmSpec(autolock=True), MANAGER, world.tools)
    world.store.put(first.with_(swarm=None), secrets={UNLOCK_KEY: b""})
    again = init("m1", SwarmSpec(autolock=True), MANAGER, world.tools)
    assert again.swarm == first.swarm
    assert world.calls("m1").count("init") == 1
    assert world.store.secrets("m1")[UNLOCK_KEY].decode() in world.clusters.secrets()


def test_init_refuses_a_manager_of_a_swarm_that_nobody_knows(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    world.store.put(world.record("m1").with_(swarm=None))
    world.store.remove("w1")
    with pytest.raises(CheckFailed, match=r"Swarm swarm1 already, .*host-2") as refused:
        init("m1", SwarmSpec(), MANAGER, world.tools)
    assert "swarm join --to m1 m1" in str(refused.value.hint)
    assert join("m1", WORKER, world.tools, via=["m1"], keep=True).swarm is not None


def test_the_unlock_key_is_stored_before_anything_else_can_fail(world: SwarmWorld) -> None:
    world.machines("m1")
    init("m1", SwarmSpec(autolock=True), MANAGER, world.tools)
    calls = world.calls("m1")
    assert calls[calls.index("init") + 1] == "unlock_key"
    assert world.store.secrets("m1")[UNLOCK_KEY].decode() in world.clusters.secrets()


def test_every_manager_has_the_unlock_key_and_no_worker(world: SwarmWorld) -> None:
    world.swarm(2, 1, autolock=True)
    keys = {name: world.store.secrets(name).get(UNLOCK_KEY, b"") for name in ("m1", "m2", "w1")}
    assert keys["m1"] == keys["m2"] != b""
    assert keys["w1"] == b""


def test_no_key_and_no_token_is_ever_said(world: SwarmWorld) -> None:
    world.swarm(2, 1, autolock=True)
    said = repr(world.reporter.events) + repr(world.store.operations()) + repr(world.store.records())
    assert not [secret for secret in world.clusters.secrets() if secret in said]


def test_live_restore_is_refused_with_the_way_out(world: SwarmWorld) -> None:
    world.swarm(1)
    world.machines("w1")
    with world.clusters.host(world.address("w1")) as host:
        host.live_restore = True
    with pytest.raises(CheckFailed, match="live-restore") as refused:
        join("w1", WORKER, world.tools, via=["m1"])
    assert "pymachine provision --engine-opt live-restore=false w1" in str(refused.value.hint)
    assert "join" not in world.calls("w1")


@pytest.mark.parametrize(("pool", "whose"), [("192.0.2.0/25", "address of m1"), ("172.16.0.0/12", "engine's own")])
def test_a_pool_that_holds_a_host_or_a_bridge_is_refused(world: SwarmWorld, pool: str, whose: str) -> None:
    world.machines("m1")
    with pytest.raises(CheckFailed, match=whose):
        init("m1", SwarmSpec(address_pools=(pool,), subnet_size=26), MANAGER, world.tools)
    assert "init" not in world.calls("m1")


def test_hosts_in_the_engines_own_pool_get_another_one(world: SwarmWorld) -> None:
    world.machines("m1")
    world.store.put(world.record("m1").with_(addresses=("10.3.0.4",)))
    init("m1", SwarmSpec(), MANAGER, world.tools)
    with world.clusters.lend() as state:
        assert state.swarms["swarm1"].founding.pools == ("10.192.0.0/12",)
    assert any("10.192.0.0/12" in event.text for event in world.reporter.events if event.kind == "notice")


def test_a_host_that_comes_later_is_told_of_the_pool_it_lies_in(world: SwarmWorld) -> None:
    world.machines("m1", "w1")
    init("m1", SwarmSpec(address_pools=("10.80.0.0/16",)), MANAGER, world.tools)
    world.store.put(world.record("w1").with_(addresses=("10.80.3.4",)))
    join("w1", WORKER, world.tools, via=["m1"])
    notices = [event.text for event in world.reporter.events if event.kind == "notice"]
    assert any("10.80.3.4 is in 10.80.0.0/16" in notice for notice in notices)


def test_join_waits_for_an_engine_that_goes_on_in_the_background(world: SwarmWorld) -> None:
    world.swarm(1)
    world.machines("w1")
    with world.clusters.host(world.address("w1")) as host:
        host.slow = 5
    machine = join("w1", WORKER, world.tools, via=["m1"])
    assert machine.swarm is not None
    assert machine.swarm.role == "worker"
    assert status(world.tools).node_of("w1") is not None


def test_join_that_no_manager_answers_says_which_ports_and_leaves_nothing_behind(world: SwarmWorld) -> None:
    world.swarm(1)
    world.machines("w1")
    with world.clusters.host(world.address("w1")) as host:
        host.blocked = True
    with pytest.raises(EngineError, match="w1 ") as failed:
        join("w1", WORKER, world.tools, via=["m1"])
    assert "2377" in str(failed.value.hint)
    with world.clusters.host(world.address("w1")) as host:
        assert host.state == "inactive"
        host.blocked = False
    assert join("w1", WORKER, world.tools, via=["m1"]).swarm is not None


def test_a_node_of_another_swarm_is_refused_and_stays_there(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    world.machines("other")
    init("other", SwarmSpec(), MANAGER, world.tools)
    for name in ("w1", "m1"):
        with pytest.raises(CheckFailed, match=f"{name} .*another Swarm"):
            join(name, WORKER, world.tools, via=["other"])
    assert len(status(world.tools, ["m1"]).nodes) == 2


def test_join_again_changes_what_the_node_is_asked_to_be(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    before = status(world.tools).node_of("w1")
    join("w1", NodeSpec("worker", {"tier": "web"}, "pause"), world.tools, via=["m1"])
    after = status(world.tools).node_of("w1")
    assert before is not None
    assert after is not None
    assert (after.id, after.user_labels, after.availability) == (before.id, {"tier": "web"}, "pause")
    assert world.calls("w1").count("join") == 1


def test_who_left_the_list_behind_our_back_joins_anew(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    former = world.record("w1").swarm
    assert former is not None
    with world.clusters.connect(_endpoint(world, "m1"), None, deadline=1) as engine:
        engine.remove_node(former.node, force=True)
    machine = join("w1", WORKER, world.tools, via=["m1"])
    assert machine.swarm is not None
    assert machine.swarm.node != former.node
    assert len(status(world.tools).nodes) == 2


def test_a_node_that_left_by_itself_takes_the_place_of_its_former_self(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    with world.clusters.connect(_endpoint(world, "w1"), None, deadline=1) as engine:
        engine.leave()
    join("w1", WORKER, world.tools, via=["m1"])
    assert [member.machine for member in status(world.tools).members] == ["m1", "w1"]


def test_workers_join_at_once(world: SwarmWorld) -> None:
    world.swarm(1)
    names = [f"w{n}" for n in range(8)]
    world.machines(*names)
    threads = [threading.Thread(target=join, args=(n, WORKER, world.tools), kwargs={"via": ["m1"]}) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(status(world.tools).nodes) == 9


def test_a_machine_that_somebody_works_on_is_left_alone(world: SwarmWorld) -> None:
    world.swarm(1)
    world.machines("w1")
    with world.store.lease("w1", "something else"), pytest.raises(LeaseHeld):
        join("w1", WORKER, world.tools, via=["m1"])


def test_a_dead_manager_is_passed_over(world: SwarmWorld) -> None:
    names = world.swarm(3)
    world.machines("w1")
    world.cut("m1")
    assert join("w1", WORKER, world.tools, via=names).swarm is not None


def test_leave_and_join_again_makes_another_node(world: SwarmWorld) -> None:
    world.swarm(1, 1)
    former = world.record("w1").swarm
    assert leave("w1", world.tools).swarm is None
    again = join("w1", WORKER, world.tools, via=["m1"]).swarm
    assert again is not None
    assert again != former


def _endpoint(world: SwarmWorld, name: str):  # type: ignore[no-untyped-def]
    return world.record(name).endpoint
