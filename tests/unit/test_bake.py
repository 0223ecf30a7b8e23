"""Baking: a machine is made, sealed, kept as an image and removed, before the one that was requested is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pymachine.bake import LABEL, TakeSetUpOff, bake
from pymachine.driver import Baked, Request
from pymachine.errors import CheckFailed, DriverError, StepFailed, UsageFault
from pymachine.model import Phase
from pymachine.remove import CleanHost
from pymachine.testing.fake_driver import FakeOptions
from pymachine.testing.fake_transport import RecordedCall, done
from pymachine.transport import Command, Result
from unit.world import DEBIAN, ENGINE, World, is_run

IMAGE = "debian-13-docker"


def is_seal(command: Command) -> bool:
    """Whether a command seals the machine."""
    return "ssh_host_" in command.shell() and "/var/lib/cloud" in command.shell()


def finishes_extras(command: Command) -> bool:
    """Whether a command installs what is to follow the engine."""
    return "extras.sh" in command.shell()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A cloud whose creates want an image baked, and hosts that an installation has put an engine on."""
    world = World(tmp_path / "store", preexisting=False)
    world.cloud.bakes = IMAGE
    world.answer(is_seal, done(DEBIAN))
    world.answer(finishes_extras, done())
    return world


def makes(world: World) -> list[Request]:
    return [request for request in world.cloud.requests if request.name == "node1-bake"]


def test_the_image_tells_its_engine_and_system_and_nothing_is_left_of_its_machine(world: World) -> None:
    assert bake(world.order(), world.tools) == IMAGE
    ((host, baked),) = world.cloud.kept
    assert baked == Baked(IMAGE, "26.1.5", DEBIAN)
    assert [request.machine_id for request in makes(world)] == [host]
    assert world.cloud.hosts() == {}
    assert world.store.find("node1-bake") is None
    assert world.store.find("node1") is None, "the user's machine is made by create"


def test_what_is_adopted_has_its_disk_already(world: World) -> None:
    assert bake(replace(world.order(), adopted="i-1"), world.tools) is None
    assert world.cloud.requests == []


def test_it_is_made_as_the_order_says_with_the_options_that_the_driver_wants_for_it(world: World) -> None:
    order = replace(world.order(install="distro"), options=FakeOptions(fake_size=3, fake_tags=("theirs",)))
    bake(order, world.tools)
    (request,) = makes(world)
    assert request.options == FakeOptions(fake_size=3)


def test_the_set_up_is_taken_off_before_the_seal_and_the_disk_kept_after_it(world: World) -> None:
    sealed: list[list[str]] = []

    def seal(call: RecordedCall) -> Result:
        sealed.append(list(world.cloud.calls))
        return done(DEBIAN)

    world.answer(is_seal, seal)
    bake(world.order(), world.tools)
    host = world.connections[-1]
    commands = [call.command for call in host.calls]
    assert [is_run(c) for c in commands].index(True) < [is_seal(c) for c in commands].index(True)
    assert CleanHost.title.encode() in world.uploaded("remove.sh")
    assert "keep" not in sealed[0]
    assert world.cloud.calls[-2:] == ["keep", "destroy"]


def test_which_packages_came_with_the_engine_is_noted_in_the_image(world: World) -> None:
    world.facts |= {**ENGINE, "installed": "docker.io\nrunc\n"}
    bake(world.order(), world.tools)
    (seal,) = [call for host in world.connections for call in host.calls if is_seal(call.command)]
    assert seal.root
    assert seal.command.words[-3:] == ("root", "docker.io", "runc")


def test_what_follows_an_engine_is_in_the_image_or_there_is_none(world: World) -> None:
    bake(world.order(), world.tools)
    commands = [call.command for call in world.connections[-1].calls]
    looked = next(n for n, c in enumerate(commands) if "manifest.json" in c.shell())
    assert [finishes_extras(c) for c in commands].index(True) < looked


def test_an_image_that_would_lack_what_follows_is_not_kept(world: World) -> None:
    world.answer(finishes_extras, done(code=1, stderr="no space left"))
    with pytest.raises(StepFailed, match="no space"):
        bake(world.order(), world.tools)
    assert world.cloud.kept == []


def test_the_second_time_there_is_nothing_to_bake(world: World) -> None:
    bake(world.order(), world.tools)
    assert bake(world.order("node2"), world.tools) is None
    assert len(world.cloud.requests) == 1


@pytest.mark.parametrize(
    "change", [lambda cloud: cloud.lacking.add("keep"), lambda cloud: setattr(cloud, "bakes", "")]
)
def test_nobody_bakes_who_was_not_asked_or_cannot(change: Callable[[object], None], world: World) -> None:
    change(world.cloud)
    assert bake(world.order(), world.tools) is None
    assert world.cloud.requests == []


def test_a_machine_on_record_has_its_image(world: World) -> None:
    world.made()
    assert bake(world.order(), world.tools) is None
    assert world.cloud.calls == []


def test_what_the_driver_refuses_is_refused_before_anything_is_made(world: World) -> None:
    with pytest.raises(UsageFault, match="size 0"):
        bake(replace(world.order(), options=FakeOptions(fake_size=0)), world.tools)
    assert world.store.find("node1-bake") is None


def test_a_machine_of_the_users_is_never_taken_for_it(world: World) -> None:
    world.made("node1-bake")
    with pytest.raises(CheckFailed, match="already"):
        bake(world.order(), world.tools)
    assert world.store.get("node1-bake").phase is Phase.READY
    assert world.cloud.kept == []


def test_a_baking_that_stopped_while_its_machine_was_made_goes_on_with_it(world: World) -> None:
    world.cloud.fail("remembered", DriverError("the power went", hint=""))
    with pytest.raises(StepFailed):
        bake(world.order(), world.tools)
    half = world.store.get("node1-bake")
    assert half.labels == {LABEL: IMAGE}
    assert bake(world.order(), world.tools) == IMAGE
    assert world.cloud.kept[0][0] == half.id


def test_one_that_stopped_after_its_machine_was_ready_goes_on_with_it(world: World) -> None:
    world.answer(is_seal, done(DEBIAN))
    world.refused = [None, DriverError("no route", hint="")]
    with pytest.raises(StepFailed, match=TakeSetUpOff.title):
        bake(world.order(), world.tools)
    half = world.store.get("node1-bake")
    assert half.phase is Phase.READY
    assert bake(world.order(), world.tools) == IMAGE
    assert world.cloud.kept[0][0] == half.id


@pytest.mark.parametrize("where", ["seal", "keep"])
def test_one_that_stopped_in_a_machine_that_serves_for_nothing_else_begins_anew(where: str, world: World) -> None:
    if where == "seal":
        world.answer(is_seal, done(code=1, stderr="userdel: no"))
    else:
        world.cloud.fail("keep", DriverError("the pool is full", hint=""))
    with pytest.raises(StepFailed) as caught:
        bake(world.order(), world.tools)
    assert "rm node1-bake" in str(caught.value.hint)
    assert world.cloud.kept == []
    half = world.store.get("node1-bake")
    assert half.phase is Phase.REMOVING
    world.answer(is_seal, done(DEBIAN))
    assert bake(world.order(), world.tools) == IMAGE
    assert world.cloud.kept[0][0] != half.id
    assert world.cloud.hosts() == {}
