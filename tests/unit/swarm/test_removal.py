"""Machines that are removed by force although they are nodes of a Swarm: what it loses is known and said before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pymachine import swarm
from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.engine.effects import Effect
from pymachine.errors import CheckFailed, LeaseHeld, NoSuchMachine
from pymachine.store.sqlite import SqliteStore
from pymachine.swarm.quorum_lease import lease_name
from pymachine.swarm_api.view import Quorum
from unit.swarming import SwarmWorld


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> SwarmWorld:
    """Machines whose hosts their driver made, so that they go with their records."""
    world = SwarmWorld(tmp_path / "store")
    world.cloud.preexisting = False
    return world


def effects(world: SwarmWorld, *names: str) -> dict[str, tuple[Effect, ...]]:
    return {name: loss.effects for name, loss in swarm.losses(names, world.tools).items()}


def test_one_of_three_managers_leaves_two_of_three(world: SwarmWorld) -> None:
    world.swarm(3)
    (loss,) = swarm.losses(["m2"], world.tools).values()
    assert (loss.left, loss.effects) == (Quorum(3, 2), ())


def test_managers_that_go_together_are_counted_together(world: SwarmWorld) -> None:
    world.swarm(3, 1)
    assert effects(world, "m1", "m2", "w1") == {"m1": (Effect.LOSE_QUORUM,), "m2": (Effect.LOSE_QUORUM,), "w1": ()}


def test_a_manager_that_is_down_already_is_counted_once(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m3")
    (loss,) = swarm.losses(["m3"], world.tools).values()
    assert (loss.left, loss.effects) == (Quorum(3, 2), ())
    assert effects(world, "m2") == {"m2": (Effect.LOSE_QUORUM,)}


@pytest.mark.parametrize("managers", [1, 2])
def test_few_managers_never_keep_the_quorum(world: SwarmWorld, managers: int) -> None:
    world.swarm(managers, 1)
    assert effects(world, "m1") == {"m1": (Effect.LOSE_QUORUM,)}


def test_who_cannot_be_asked_may_lose_it(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m1", "m2", "m3")
    (loss,) = swarm.losses(["m1"], world.tools).values()
    assert (loss.left, loss.effects) == (None, (Effect.MAY_LOSE_QUORUM,))
    assert loss.unasked


def test_a_quorum_that_is_lost_cannot_be_lost_again(world: SwarmWorld) -> None:
    world.swarm(3)
    world.cut("m2", "m3")
    (loss,) = swarm.losses(["m1"], world.tools).values()
    assert (loss.lost_before, loss.effects) == (True, ())


def test_all_nodes_are_the_end_of_the_swarm(world: SwarmWorld) -> None:
    names = world.swarm(3, 1)
    assert all(loss.ends for loss in swarm.losses([*names, "w1"], world.tools).values())


def test_a_host_that_stays_keeps_its_node(world: SwarmWorld) -> None:
    world.swarm(1)
    world.cloud.preexisting = True
    (loss,) = swarm.losses(["m1"], world.tools).values()
    assert (loss.goes, loss.effects) == (False, ())
    assert swarm.losses(["m1"], world.tools, purge=True)["m1"].effects == (Effect.LOSE_QUORUM,)


def test_the_loss_is_told_before_anything_is_removed(world: SwarmWorld) -> None:
    world.swarm(3)
    world.reporter.events.clear()
    world.cloud.calls.clear()
    loss = swarm.losses(["m2"], world.tools)["m2"]
    swarm.remove_machine("m2", world.tools, loss, force=True)
    first = world.reporter.events[0]
    assert (first.kind, first.machine, first.text) == ("notice", "m2", loss.in_words())
    assert "destroy" in world.cloud.calls
    assert world.store.find("m2") is None


def test_it_waits_for_who_counts_the_managers(world: SwarmWorld) -> None:
    world.swarm(3)
    loss = swarm.losses(["m2"], world.tools)["m2"]
    member = world.record("m2").swarm
    assert member is not None
    with world.store.lease(lease_name(member.cluster), "stop of manager m3"), pytest.raises(LeaseHeld):
        swarm.remove_machine("m2", world.tools, loss, force=True)
    assert world.record("m2").swarm == member
    swarm.remove_machine("m2", world.tools, loss, force=True)
    assert world.store.holder(lease_name(member.cluster)) is None


def test_without_force_a_node_is_refused_in_a_dry_run_too(world: SwarmWorld) -> None:
    world.swarm(3)
    for attempt in (
        lambda: swarm.preview_removal("m1", world.tools, None, force=False, purge=False),
        lambda: swarm.remove_machine("m1", world.tools, None),
    ):
        with pytest.raises(CheckFailed):
            attempt()
    with pytest.raises(NoSuchMachine):
        swarm.preview_removal("none", world.tools, None, force=False, purge=False)


def test_the_dry_run_has_the_effect(world: SwarmWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "real"
    world.store = SqliteStore.open(folder)  # type: ignore[assignment]
    world.swarm(1, 1)
    wiring = Wiring(load_driver=lambda _: world.cloud.driver(), connect_cluster=world.clusters.connect)
    assert main(["-s", str(folder), "rm", "-f", "--dry-run", "--json", "m1"], wiring=wiring) == 0
    (preview,) = json.loads(capsys.readouterr().out)
    assert preview["effects"] == ["delete-host", "lose-quorum"]
    assert main(["-s", str(folder), "rm", "--dry-run", "--json", "m1"], wiring=wiring) == 3
    assert main(["-s", str(folder), "rm", "-f", "m1", "w1"], wiring=wiring) == 0
    assert not world.store.records()
