"""Hosts that were installed again at the same address: the engine is installed again, and the node joins again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pymachine.engine.effects import Effect
from pymachine.fleet.inventory.model import Fleet
from pymachine.fleet.plan import ActionKind, Plan
from pymachine.model import EngineSpec
from pymachine.swarm import status
from pymachine.swarm_api.protocol import INACTIVE
from unit.fleets import fleet, stack
from unit.fleetworld import FleetWorld, machine

MANAGERS = tuple(machine(number, f"m{number}", "manager") for number in (1, 2, 3))
WHOLE = fleet(*MANAGERS, machine(4, "w1", "worker"), machine(5, "w2", "worker"))


@pytest.fixture
def world(tmp_path: Path) -> FleetWorld:
    return FleetWorld(tmp_path / "store", preexisting=True)


def applied(world: FleetWorld, wanted: Fleet) -> None:
    account = world.apply(wanted)
    assert account.unfinished == (), [(r.action.id, r.error and r.error.message) for r in account if r.error]


def installed_again(world: FleetWorld, name: str, *, purged: bool = False) -> None:
    """Take everything off a host that the set-up put there; of a purged one, all but what is ours."""
    address = world.address(name)
    facts = world.host_facts.pop(address)
    if purged:
        world.bare_facts[address] = {"manifest": facts["manifest"]}
    with world.clusters.host(address) as host:
        host.cut, host.containers = True, ()


def kinds(made: Plan) -> dict[str, list[ActionKind]]:
    return {chain.subject: [action.kind for action in chain.actions] for chain in made.chains}


def slept(world: FleetWorld) -> float:
    total, world.clock.slept = sum(world.clock.slept), []
    return total


@pytest.mark.parametrize("purged", [False, True], ids=["bare", "purged"])
@pytest.mark.parametrize("name", ["w1", "m2", "m1"])
def test_a_node_is_installed_and_joins_again(name: str, purged: bool, world: FleetWorld) -> None:
    applied(world, WHOLE)
    installed_again(world, name, purged=purged)
    made = world.plan(WHOLE)
    assert kinds(made) == {name: [ActionKind.INSTALL, ActionKind.JOIN]}
    first = next(made.actions)
    assert (first.drains, first.interrupts) == (False, False)
    assert Effect.RESTART_ENGINE not in first.effects
    slept(world)
    world.reporter.events.clear()

    applied(world, WHOLE)
    assert "swarm drain" not in world.reporter.steps(name)
    assert slept(world) < 30, "nothing waits for a node that cannot come back"
    view = status(world.tools, ["m1", "m2", "m3"])
    assert view.healthy
    assert len(view.members) == 5, "the node of before is off the list"
    assert view.quorum.managers == 3
    assert world.plan(WHOLE).changes_nothing


def test_other_managers_restart_when_it_is_back(world: FleetWorld) -> None:
    applied(world, WHOLE)
    installed_again(world, "m2")
    wanted = replace(WHOLE, machines=tuple(replace(m, engine=EngineSpec(env=("A=b",))) for m in WHOLE.machines))
    made = world.plan(wanted)
    order = {action.id: {*action.needs, *action.waits} for action in made.actions}
    assert "join:m2" in order["configure:m1"] | order["configure:m3"]
    applied(world, wanted)
    assert status(world.tools, ["m1"]).healthy
    assert world.plan(wanted).changes_nothing


def test_the_only_node_founds_its_swarm_again(world: FleetWorld) -> None:
    single = fleet(MANAGERS[0])
    applied(world, single)
    installed_again(world, "m1")
    assert kinds(world.plan(single)) == {"m1": [ActionKind.INSTALL, ActionKind.INIT]}
    applied(world, single)
    assert world.plan(single).changes_nothing


def test_the_stack_of_a_machine_is_deployed_again(world: FleetWorld, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("services: {web: {image: nginx}}\n")
    alone = replace(
        fleet(machine(1, "db")), stacks=(replace(stack("shop", on="db"), files=(str(tmp_path / "c.yaml"),)),)
    )
    applied(world, alone)
    installed_again(world, "db")
    assert kinds(world.plan(alone)) == {"db": [ActionKind.INSTALL], "stack shop": [ActionKind.DEPLOY]}
    applied(world, alone)
    assert world.plan(alone).changes_nothing


def test_a_node_whose_engine_left_is_configured_without_a_drain(world: FleetWorld) -> None:
    """Its data were wiped: it takes no part, and would be waited for in vain."""
    applied(world, WHOLE)
    with world.clusters.host(world.address("w1")) as host:
        host.state, host.swarm, host.node = INACTIVE, "", ""
    wanted = replace(
        WHOLE,
        machines=tuple(replace(m, engine=EngineSpec(env=("A=b",))) if m.name == "w1" else m for m in WHOLE.machines),
    )
    made = world.plan(wanted)
    assert kinds(made) == {"w1": [ActionKind.CONFIGURE, ActionKind.JOIN]}
    assert not any(action.drains for action in made.actions)
    slept(world)
    applied(world, wanted)
    assert slept(world) < 30
    assert world.plan(wanted).changes_nothing


def test_one_whose_installation_fails_is_gone_on_with(world: FleetWorld) -> None:
    applied(world, WHOLE)
    installed_again(world, "w1")
    world.broken.add(world.address("w1"))
    account = world.apply(WHOLE)
    assert account.unfinished == ("w1",)
    world.broken.clear()
    applied(world, WHOLE)
    assert world.plan(WHOLE).changes_nothing
