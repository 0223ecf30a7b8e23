"""Exit code 3 says that nothing was made: what is refused later than that is a failure, with the way on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from pymachine import power, remove, swarm
from pymachine.cli.parallel import one_by_one
from pymachine.clone import clone
from pymachine.create import create
from pymachine.errors import CheckFailed, DriverError, NotSupported, PymachineError, StepFailed, UsageFault
from pymachine.fleet.inventory.model import SwarmSpec
from pymachine.model import Endpoint, Phase, State
from pymachine.provision import provision
from pymachine.testing.fake_cluster import FakeEngine
from unit.clouds import CloudWorld
from unit.swarming import MANAGER, SwarmWorld
from unit.world import World, is_run

KEYS = "the credentials have expired"


@pytest.fixture
def cloud(tmp_path: Path) -> CloudWorld:
    return CloudWorld(tmp_path)


@pytest.fixture
def virtual(tmp_path: Path) -> World:
    world = World(tmp_path, preexisting=False)
    world.cloud.foreseen = lambda seen: seen
    return world


def failure(work: Callable[[], object]) -> PymachineError:
    with pytest.raises(PymachineError) as caught:
        work()
    return caught.value


@pytest.mark.parametrize("refusal", [CheckFailed(KEYS), UsageFault(KEYS)], ids=["check", "usage"])
def test_a_host_that_was_made_stays_and_is_told_of(refusal: PymachineError, cloud: CloudWorld) -> None:
    cloud.cloud.fail("remembered", refusal)
    error = failure(lambda: create(cloud.order(), cloud.tools))
    assert (type(error), error.exit_code) == (StepFailed, 1)
    assert KEYS in error.message
    assert "pymachine rm node1" in (error.hint or "")
    machine = cloud.store.get("node1")
    assert machine.handle is not None
    assert machine.fault is not None, "ls shows where it stopped"
    assert list(cloud.cloud.hosts()) == [machine.id]


def test_a_host_that_may_have_been_made_stays_on_record(virtual: World) -> None:
    virtual.cloud.fail("create", CheckFailed(KEYS))
    virtual.cloud.fail("inspect", CheckFailed(KEYS))
    error = failure(lambda: create(virtual.order(), virtual.tools))
    assert error.exit_code == 1
    assert virtual.store.get("node1").handle is not None


def test_what_was_only_prepared_is_taken_back(virtual: World) -> None:
    virtual.cloud.fail("create", CheckFailed("the disk is too small"))
    error = failure(lambda: create(virtual.order(), virtual.tools))
    assert (type(error), error.exit_code) == (CheckFailed, 3)
    assert (virtual.store.records(), virtual.cloud.calls[-2:]) == ([], ["inspect", "destroy"])
    assert virtual.operation().outcome == "failed"


def test_what_cannot_be_taken_back_stays_on_record(virtual: World) -> None:
    virtual.cloud.fail("create", CheckFailed("the disk is too small"))
    virtual.cloud.fail("destroy", DriverError("gone, alas"))
    error = failure(lambda: create(virtual.order(), virtual.tools))
    assert error.exit_code == 1
    assert "pymachine rm node1" in (error.hint or "")
    assert virtual.store.get("node1").phase is Phase.REQUESTED
    assert any("gone, alas" in str(event) for event in virtual.reporter.events)


def test_a_host_of_somebody_elses_that_cannot_be_given_back_stays_on_record(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.facts.update(os_release="ID=plan9\n")
    world.cloud.fail("destroy", DriverError("it is busy"))
    error = failure(lambda: create(world.order(), world.tools))
    assert error.exit_code == 1
    assert world.store.get("node1").handle is not None


def test_a_check_that_refuses_to_go_on_names_what_is_half_made(cloud: CloudWorld) -> None:
    cloud.cloud.fail("remembered", DriverError("the cloud went away"))
    failure(lambda: create(cloud.order(), cloud.tools))
    cloud.cloud.fail("check", CheckFailed(KEYS, hint="sign on"))
    error = failure(lambda: create(cloud.order(), cloud.tools))
    assert error.exit_code == 1
    assert "sign on" in (error.hint or "")
    assert "pymachine rm node1" in (error.hint or "")


def test_a_clone_that_is_refused_leaves_nothing(virtual: World) -> None:
    machine = create(virtual.order(), virtual.tools)
    virtual.cloud.set_state(machine.id, State.STOPPED)
    virtual.cloud.fail("foresee", CheckFailed("the pool has no room"))
    assert failure(lambda: clone("node1", "node2", virtual.tools)).exit_code == 3
    assert [record.name for record in virtual.store.records()] == ["node1"]


def test_a_clone_whose_host_is_there_stays_on_record(virtual: World) -> None:
    machine = create(virtual.order(), virtual.tools)
    virtual.cloud.set_state(machine.id, State.STOPPED)
    virtual.cloud.fail("remembered", CheckFailed(KEYS))
    error = failure(lambda: clone("node1", "node2", virtual.tools))
    assert (error.exit_code, virtual.store.get("node2").phase) == (1, Phase.REQUESTED)
    assert "pymachine rm node2" in (error.hint or "")


def test_a_provision_that_looked_only_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.made()
    world.facts.update(daemon_json="{no json")
    before = world.ran(is_run)
    assert failure(lambda: provision("node1", world.tools)).exit_code == 3
    assert (world.store.get("node1").fault, world.ran(is_run)) == (None, before)


def test_a_provision_that_changed_the_host_is_not(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.made()
    world.engine.errors.append(CheckFailed("its key cannot be read"))
    error = failure(lambda: provision("node1", world.tools))
    assert (world.ran(is_run) > 0, error.exit_code) == (True, 1)


@pytest.mark.parametrize("verb", [power.start, power.restart])
def test_a_machine_that_was_switched_is_no_refusal(verb: Callable[..., object], cloud: CloudWorld) -> None:
    create(cloud.order(), cloud.tools)
    cloud.cloud.fail("whereabouts", CheckFailed(KEYS))
    error = failure(lambda: verb("node1", cloud.tools))
    assert error.exit_code == 1
    assert "pymachine start node1" in (error.hint or "")


def test_a_machine_that_could_not_be_switched_is_one(cloud: CloudWorld) -> None:
    create(cloud.order(), cloud.tools)
    cloud.cloud.fail("stop", NotSupported("the host has no switch"))
    assert failure(lambda: power.stop("node1", cloud.tools)).exit_code == 3


def test_a_removal_that_began_is_no_refusal(cloud: CloudWorld) -> None:
    create(cloud.order(), cloud.tools)
    cloud.cloud.fail("destroy", CheckFailed(KEYS))
    error = failure(lambda: remove.remove("node1", cloud.tools))
    assert (error.exit_code, cloud.store.get("node1").phase) == (1, Phase.REMOVING)
    assert "pymachine rm node1" in (error.hint or "")


def test_a_swarm_that_was_changed_is_no_refusal(tmp_path: Path) -> None:
    world = SwarmWorld(tmp_path)
    world.machines("m1")
    swarm.init("m1", SwarmSpec(), MANAGER, world.tools)
    assert failure(lambda: swarm.change("m1", world.tools, role="worker")).exit_code == 3

    class Engine(FakeEngine):
        @override
        def tasks_on(self, node: str) -> int:
            raise CheckFailed("it is no manager any more")

    def connect(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> FakeEngine:
        return Engine(world.clusters, endpoint.host)

    tools = replace(world.tools, connect_cluster=connect)
    error = failure(lambda: swarm.change("m1", tools, availability="drain"))
    assert (error.exit_code, world.store.get("m1").fault) == (1, None)


def test_of_several_in_turn_the_first_may_be_refused_and_no_later_one() -> None:
    def work(name: str) -> str:
        if name == "bad":
            raise CheckFailed("no", hint="do so")
        return name

    told: list[str] = []

    def tell(name: str, _: str) -> None:
        told.append(name)

    assert failure(lambda: one_by_one(["bad", "good"], work, tell)).exit_code == 3
    error = failure(lambda: one_by_one(["good", "bad", "other"], work, tell))
    assert (error.exit_code, told) == (1, ["good"])
    assert "do so" in (error.hint or "")
    assert " good: " in error.message
