"""A host that is found elsewhere: the record follows once the host key has proved that it is the same host."""

from __future__ import annotations

from typing import Any

import pytest

from pymachine.engine.effects import Effect
from pymachine.errors import (
    AuthFailed,
    CheckFailed,
    EngineError,
    HostKeyMismatch,
    NotSupported,
    StepFailed,
    SudoFailed,
    Unreachable,
)
from pymachine.fleet.apply.fleet import refuse
from pymachine.model import Endpoint, Phase
from pymachine.provision import preview_provision, provision
from pymachine.testing.fake_driver import ADDRESS, FakeDriver
from pymachine.testing.fake_transport import HOST_KEY, done
from unit.fleets import fleet, spec
from unit.fleetworld import FleetWorld
from unit.world import World, is_look, is_run

THERE = "192.0.2.77"
MOVED = {"fake_address": THERE}
NEXT = {"fake_address": "192.0.2.6"}


@pytest.fixture(autouse=True)
def moving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeDriver, "alters", {"fake_address": "move", "fake_account": "reach"})


def notices(world: World) -> str:
    return "\n".join(str(event) for event in world.reporter.events)


def test_record_certificate_and_engine_follow_the_host(world: World) -> None:
    before = world.made()
    machine = provision("node1", world.tools, reach=MOVED)
    assert machine.ssh is not None
    assert (machine.ssh.host, machine.endpoint, machine.options["fake_address"]) == (THERE, Endpoint(THERE), THERE)
    assert machine.handle == {"id": machine.id, "address": THERE}
    assert machine.certificates is not None
    assert before.certificates is not None
    assert THERE in machine.certificates.sans
    assert machine.certificates.ca == before.certificates.ca
    assert world.engine.asked[-1][0] == Endpoint(THERE)
    assert world.pins == [HOST_KEY], "the key on record was requested, on the one connection"
    assert machine == world.store.get("node1")


def test_the_same_command_again_changes_nothing_more(world: World) -> None:
    world.made()
    machine = provision("node1", world.tools, reach=MOVED)
    again = provision("node1", world.tools, reach=MOVED)
    assert (again.ssh, again.endpoint, again.certificates) == (machine.ssh, machine.endpoint, machine.certificates)


@pytest.mark.parametrize("error", [HostKeyMismatch("another"), Unreachable("nobody"), AuthFailed("no")])
def test_who_is_not_that_host_is_refused_and_nothing_changes(world: World, error: Exception) -> None:
    before = world.made()
    world.refused.append(error)
    with pytest.raises(CheckFailed):
        provision("node1", world.tools, reach=MOVED)
    assert world.store.get("node1") == before
    assert world.connections == []


def test_a_copy_of_the_host_that_is_another_machine_is_refused(world: World) -> None:
    before = world.made()
    world.carries("another")
    with pytest.raises(CheckFailed):
        provision("node1", world.tools, reach=MOVED)
    assert world.store.get("node1") == before


def test_an_account_that_cannot_become_root_there_is_refused(world: World) -> None:
    before = world.made()
    world.answer(is_look, SudoFailed("no"))
    with pytest.raises(CheckFailed):
        provision("node1", world.tools, reach={"fake_account": "eve", "fake_address": THERE})
    assert world.store.get("node1") == before


def test_a_key_that_the_user_vouches_for_is_the_proof(world: World) -> None:
    world.made()
    world.host_key = HOST_KEY.replace("IAAA", "IBBB")
    machine = provision("node1", world.tools, reach=MOVED, host_key=world.host_key)
    assert machine.ssh is not None
    assert machine.ssh.host_key == world.host_key
    assert world.pins == [world.host_key]


def test_what_is_cut_off_after_the_move_goes_on_with_the_same_command(world: World) -> None:
    world.made()
    world.answer(is_run, done("@pymachine failed starting the engine\n", code=1))
    with pytest.raises(StepFailed):
        provision("node1", world.tools, reach=MOVED)
    kept = world.store.get("node1")
    assert kept.ssh is not None
    assert (kept.ssh.host, kept.endpoint, kept.phase) == (THERE, Endpoint(THERE), Phase.READY)
    world.answers.clear()
    assert provision("node1", world.tools, reach=MOVED).fault is None


def test_options_of_the_engine_that_fail_do_not_take_the_move_back(world: World) -> None:
    world.made()
    world.engine.errors.append(EngineError("it does not answer"))
    with pytest.raises(StepFailed):
        provision("node1", world.tools, reach=MOVED, spec_changes={"port": 2400})
    kept = world.store.get("node1")
    assert (kept.endpoint, kept.engine.port) == (Endpoint(THERE), 2376)


def test_a_preview_says_it_and_changes_nothing(world: World) -> None:
    before = world.made()
    found = preview_provision("node1", world.tools, reach=MOVED)
    assert Effect.CHANGE_ADDRESS in found.effects
    assert found.changes[0].why == f"{ADDRESS}:2376 → {THERE}:2376"
    assert world.store.get("node1") == before


def test_another_way_in_moves_no_engine(world: World) -> None:
    before = world.made()
    machine = provision("node1", world.tools, reach={"fake_account": "ops"})
    assert (machine.endpoint, machine.options["fake_account"]) == (before.endpoint, "ops")


def test_an_alias_that_leads_elsewhere_now_is_followed_without_being_told(world: World) -> None:
    before = world.made()
    world.saved(handle={"id": before.id, "address": "192.0.2.1"})
    world.cloud.calls.clear()
    assert provision("node1", world.tools).handle == {"id": before.id, "address": ADDRESS}


@pytest.mark.parametrize(
    ("changes", "kind"), [({"fake_zone": "west"}, NotSupported), ({"fake_account": "nobody"}, CheckFailed)]
)
def test_what_the_driver_does_not_take_is_refused(world: World, changes: dict[str, Any], kind: type) -> None:
    before = world.made()
    with pytest.raises(kind):
        provision("node1", world.tools, reach=changes)
    assert world.store.get("node1") == before


def test_a_half_made_machine_is_moved_by_the_command_that_makes_it(world: World) -> None:
    world.made()
    world.saved(phase=Phase.REACHABLE)
    with pytest.raises(CheckFailed) as fault:
        provision("node1", world.tools, reach=MOVED)
    assert "create" in (fault.value.hint or "")


@pytest.mark.parametrize(("has_it", "told"), [(False, True), (True, False)])
def test_a_node_that_left_its_address_in_the_swarm_behind_is_told_so(world: World, has_it: bool, told: bool) -> None:
    world.made()
    world.facts["info"] = (
        '{"ServerVersion": "26.1.5", "Swarm": {"LocalNodeState": "active", "NodeAddr": "192.0.2.10"}}'
    )
    addresses = ["192.0.2.77/24", *(["192.0.2.10/24"] if has_it else [])]
    world.facts["addresses"] = "\n".join(f"2: eth0    inet {a} scope global eth0" for a in addresses)
    provision("node1", world.tools, reach=MOVED)
    assert ("swarm leave node1" in notices(world)) is told


def test_an_inventory_with_another_address_moves_the_machine_in_place(tmp_path: Any) -> None:
    world = FleetWorld(tmp_path / "store", preexisting=True)
    there = fleet(spec("web", options={"fake_address": "192.0.2.5"}))
    assert not world.apply(there).unfinished
    before = world.store.get("web")
    world.dead.add("192.0.2.5")
    moved = fleet(spec("web", options={"fake_address": "192.0.2.6"}))
    (action,) = world.plan(moved).actions
    assert (action.id, action.payload.effects[0]) == ("move:web", Effect.CHANGE_ADDRESS)
    world.apply(moved)
    after = world.store.get("web")
    assert after.id == before.id
    assert after.endpoint == Endpoint("192.0.2.6")
    assert world.plan(moved).changes_nothing


@pytest.mark.parametrize("former", ["dead", "alive"])
def test_an_inventory_with_the_address_of_another_host_replaces_the_machine(tmp_path: Any, former: str) -> None:
    world = FleetWorld(tmp_path / "store", preexisting=True)
    assert not world.apply(fleet(spec("web", options={"fake_address": "192.0.2.5"}))).unfinished
    before = world.store.get("web")
    if former == "dead":
        world.dead.add("192.0.2.5")
    world.strangers.add("192.0.2.6")
    wanted = fleet(spec("web", options={"fake_address": "192.0.2.6"}))
    made = world.plan(wanted)
    assert [action.id for action in made.actions] == ["replace:web"]
    with pytest.raises(CheckFailed):
        refuse(made, replace=False)
    assert not world.apply(wanted).unfinished
    assert world.store.get("web").id != before.id
    assert world.plan(wanted).changes_nothing


def test_where_nobody_answers_at_the_new_address_nothing_is_replaced(tmp_path: Any) -> None:
    world = FleetWorld(tmp_path / "store", preexisting=True)
    assert not world.apply(fleet(spec("web", options={"fake_address": "192.0.2.5"}))).unfinished
    world.dead.add("192.0.2.6")
    assert [action.id for action in world.plan(fleet(spec("web", options=NEXT))).actions] == ["move:web"]
    assert world.apply(fleet(spec("web", options=NEXT))).unfinished
    world.dead.clear()
    assert not world.apply(fleet(spec("web", options=NEXT))).unfinished
