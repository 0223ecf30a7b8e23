"""Managers that are taken away without a drain: counted before, and known to be away, or back, after."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pymachine import swarm
from pymachine.engine.effects import RESTARTING, Aspect, Change
from pymachine.errors import CheckFailed, EngineError, Unreachable
from pymachine.model import Machine, State
from pymachine.steps.preview import Preview
from pymachine.steps.services import Services
from pymachine.swarm.absence import SEEN_PATIENCE
from pymachine.testing.fake_transport import done
from unit.swarming import SwarmWorld
from unit.world import ENGINE, NOW

OFF: dict[str, Callable[..., Machine]] = {"stop": swarm.stop_node, "kill": swarm.kill_node}


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> SwarmWorld:
    return SwarmWorld(tmp_path / "store")


def stands(world: SwarmWorld, managers: int, workers: int = 0) -> Services:
    """A Swarm whose machines run, and whose events and calls are forgotten."""
    world.swarm(managers, workers)
    for machine in world.store.records():
        world.cloud.set_state(machine.name, State.RUNNING)
    world.reporter.events.clear()
    world.cloud.calls.clear()
    return world.tools


def vanishes(world: SwarmWorld, name: str, after: float) -> None:
    """Have a machine's engine stop answering after so many seconds."""
    world.clock.later = (after, lambda: world.cut(name))


def told(world: SwarmWorld, name: str) -> str:
    return " ".join(event.text for event in world.reporter.events if event.kind == "notice" and event.machine == name)


@pytest.mark.parametrize("verb", OFF)
def test_a_manager_that_the_quorum_needs_is_not_switched_off(world: SwarmWorld, verb: str) -> None:
    tools = stands(world, 3)
    world.cut("m3")
    with pytest.raises(CheckFailed, match=r"m2 .* quorum: 1 of 3") as refused:
        OFF[verb]("m2", tools)
    assert "--force" in str(refused.value.hint)
    assert verb not in world.cloud.calls
    OFF[verb]("m2", tools, force=True)
    assert verb in world.cloud.calls


@pytest.mark.parametrize("verb", OFF)
def test_one_that_does_not_answer_and_workers_are_switched_off(world: SwarmWorld, verb: str) -> None:
    tools = stands(world, 3, 1)
    world.cut("m3")
    OFF[verb]("m3", tools)
    OFF[verb]("w1", tools)
    assert world.cloud.calls.count(verb) == 2


def test_several_at_once_are_counted_together(world: SwarmWorld) -> None:
    tools = stands(world, 5, 1)
    swarm.refuse_outage(["m1", "m2", "w1"], tools)
    with pytest.raises(CheckFailed, match=r"m1, m2, m5 .* quorum: 2 of 5"):
        swarm.refuse_outage(["m1", "m2", "m5"], tools)
    world.cut("m5")
    swarm.refuse_outage(["m1", "m5"], tools)
    with pytest.raises(CheckFailed):
        swarm.refuse_outage(["m1", "m2"], tools)


@pytest.mark.parametrize(("managers", "words"), [(1, "only"), (2, "2 managers")])
def test_what_one_or_two_managers_cost_is_said(world: SwarmWorld, managers: int, words: str) -> None:
    tools = stands(world, managers, 1)
    swarm.refuse_outage(["m1", "w1"], tools)
    assert not told(world, "m1")
    swarm.stop_node("m1", tools)
    assert words in told(world, "m1")
    swarm.stop_node("w1", tools)
    assert not told(world, "w1")


def test_a_lost_quorum_is_not_in_the_way(world: SwarmWorld) -> None:
    tools = stands(world, 3)
    world.cut("m2", "m3")
    swarm.refuse_outage(["m1", "m2"], tools)
    swarm.stop_node("m1", tools)
    assert "stop" in world.cloud.calls


def test_managers_that_cannot_be_asked_are_not_taken_for_spare_ones(world: SwarmWorld) -> None:
    tools = stands(world, 3, 1)
    world.cut("m1", "m2", "m3")
    for refused in (lambda: swarm.stop_node("m2", tools), lambda: swarm.refuse_outage(["m1", "w1"], tools)):
        with pytest.raises(CheckFailed, match="asked"):
            refused()
    swarm.stop_node("w1", tools)
    assert world.cloud.calls.count("stop") == 1
    swarm.stop_node("m2", tools, force=True)


def test_the_only_manager_that_hangs_can_be_switched_off(world: SwarmWorld) -> None:
    tools = stands(world, 1, 1)
    world.cut("m1")
    swarm.kill_node("m1", tools)
    assert "asked" in told(world, "m1")


def test_the_next_is_counted_when_the_others_know_of_the_one_before(world: SwarmWorld) -> None:
    tools = stands(world, 3)
    vanishes(world, "m2", 7.0)
    began = tools.now()
    swarm.stop_node("m2", tools)
    assert 7.0 <= tools.now() - began < SEEN_PATIENCE
    with pytest.raises(CheckFailed):
        swarm.stop_node("m3", tools)


def test_a_restart_without_a_drain_is_counted_as_well(world: SwarmWorld) -> None:
    tools = stands(world, 3)
    world.cut("m3")
    with pytest.raises(CheckFailed, match="quorum"):
        swarm.restart_node("m2", tools, drain=False)
    assert "restart" not in world.cloud.calls


def test_the_next_restart_waits_until_the_one_before_takes_part_again(world: SwarmWorld) -> None:
    tools = stands(world, 3)
    restart = world.cloud.called

    def goes_and_comes(operation: str) -> None:
        restart(operation)
        if operation == "restart":
            world.cut("m2")
            world.clock.later = (30.0, lambda: world.clusters.restart(world.address("m2")))

    world.cloud.called = goes_and_comes  # type: ignore[method-assign]
    began = tools.now()
    swarm.restart_node("m2", tools, drain=False)
    assert tools.now() - began >= 30.0


def test_one_that_does_not_come_back_is_a_failure(world: SwarmWorld) -> None:
    tools = stands(world, 3)
    restart = world.cloud.called

    def goes(operation: str) -> None:
        restart(operation)
        if operation == "restart":
            world.cut("m2")

    world.cloud.called = goes  # type: ignore[method-assign]
    with pytest.raises(EngineError, match=r"m2 .*rejoin"):
        swarm.restart_node("m2", tools, drain=False)


def info(**membership: object) -> dict[str, str]:
    """The facts of a host whose engine says this of its place in a Swarm."""
    return {**ENGINE, "info": json.dumps({"ServerVersion": "26.1.5", "Swarm": membership})}


UNKNOWN = [
    info(LocalNodeState="active", ControlAvailable=True, Nodes=3, Managers=1),
    info(LocalNodeState="active", ControlAvailable=False),
    {**ENGINE, "info": ""},
]
IDLE = [
    info(LocalNodeState="active", ControlAvailable=True, Nodes=1, Managers=1),
    info(LocalNodeState="inactive"),
    info(LocalNodeState="error"),
    {**ENGINE, "unit_properties": "ActiveState=failed", "info": "", "cmdline": ""},
    {},
]


@pytest.mark.parametrize("facts", UNKNOWN)
def test_the_only_manager_is_not_restarted_undrained_because_it_does_not_answer(
    world: SwarmWorld, facts: dict[str, str]
) -> None:
    tools = stands(world, 1, 2)
    world.cut("m1")
    world.facts |= facts
    with pytest.raises(CheckFailed, match=r"m1 .*node") as refused:
        swarm.restart_node("m1", tools)
    assert "--no-drain" in str(refused.value.hint)
    with pytest.raises(CheckFailed):
        swarm.upgrade_node("m1", tools)
    with pytest.raises(CheckFailed):
        swarm.provision_node("m1", tools, spec_changes={"env": ("FOO=bar",)})
    assert "restart" not in world.cloud.calls
    swarm.restart_node("m1", tools, drain=False)
    assert "restart" in world.cloud.calls


@pytest.mark.parametrize("facts", IDLE)
def test_it_is_restarted_where_its_host_says_that_nothing_would_move(
    world: SwarmWorld, facts: dict[str, str]
) -> None:
    tools = stands(world, 1, 2)
    world.cut("m1")
    world.facts |= facts
    swarm.restart_node("m1", tools)
    assert "restart" in world.cloud.calls


def test_one_that_is_off_is_switched_on(world: SwarmWorld) -> None:
    tools = stands(world, 1, 1)
    world.cut("m1")
    world.facts |= UNKNOWN[0]
    world.cloud.set_state("m1", State.STOPPED)
    swarm.restart_node("m1", tools)
    assert "restart" in world.cloud.calls


def test_a_host_that_cannot_be_asked_either_is_refused(world: SwarmWorld) -> None:
    tools = stands(world, 1, 1)
    world.cut("m1")
    world.refused = [Unreachable("no route to host")]
    with pytest.raises(CheckFailed, match=r"m1 .*node"):
        swarm.restart_node("m1", tools)


def restarting(world: SwarmWorld, name: str) -> Preview:
    change = Change("set env", "as requested", Aspect.CONFIG, RESTARTING)
    return Preview("provision", world.record(name), (change,))


def test_a_dry_run_refuses_what_the_run_refuses(world: SwarmWorld) -> None:
    tools = stands(world, 3, 1)
    assert swarm.drained_in(restarting(world, "m2"), tools).drained
    world.cut("m3")
    with pytest.raises(CheckFailed, match="quorum"):
        swarm.drained_in(restarting(world, "m2"), tools)
    assert swarm.drained_in(restarting(world, "w1"), tools).drained
    quiet = replace(restarting(world, "m2"), changes=())
    assert not swarm.drained_in(quiet, tools).drained
    world.cut("m1", "m2", "w1")
    world.facts |= UNKNOWN[0]
    with pytest.raises(CheckFailed, match=r"m2 .*node"):
        swarm.drained_in(restarting(world, "m2"), tools)


def test_a_manager_that_the_quorum_needs_is_neither_paused_nor_set_back(world: SwarmWorld) -> None:
    tools = stands(world, 3)
    world.answer(lambda command: "date" in command.words, done(f"{NOW:.0f}"))
    swarm.snapshot_node("m2", "before", tools)
    swarm.restore_node("m2", "before", tools)
    world.cut("m3")
    for refused in (swarm.snapshot_node, swarm.restore_node):
        world.cloud.calls.clear()
        with pytest.raises(CheckFailed, match="quorum"):
            refused("m2", "before", tools)
        assert not {"snapshot", "restore"} & set(world.cloud.calls)
