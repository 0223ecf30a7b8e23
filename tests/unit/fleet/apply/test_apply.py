"""Apply, with a fake cloud, hosts and Swarm: what is done, over which connections, and what if it fails."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from pymachine.errors import CheckFailed, DriverError, LeaseHeld
from pymachine.fleet.apply.deploy import client_environ
from pymachine.fleet.apply.execute import known_kinds
from pymachine.fleet.apply.fleet import FleetWork, leased, refuse
from pymachine.fleet.apply.scheduler import Outcome
from pymachine.fleet.apply.selectors import limited
from pymachine.fleet.apply.state import failed_of, note_name
from pymachine.fleet.inventory.model import Fleet, NodeSpec, SwarmSpec
from pymachine.fleet.plan import ActionKind
from pymachine.model import EngineSpec, Phase, State
from pymachine.steps.engine import SetUpEngine
from unit.fleets import fleet, kinds, stack
from unit.fleetworld import FleetWorld, machine, moved

TRIO = fleet(machine(1, "mgr", "manager"), machine(2, "web-1", "worker"), machine(3, "web-2", "worker"))


@pytest.fixture
def world(tmp_path: Path) -> FleetWorld:
    return FleetWorld(tmp_path / "store")


def applied(world: FleetWorld, wanted: Fleet = TRIO) -> FleetWorld:
    account = world.apply(wanted)
    assert not account.unfinished, [(r.action.id, r.error, r.because) for r in account]
    return world


def test_every_kind_of_action_can_be_done() -> None:
    assert set(known_kinds()) == set(ActionKind)


def test_a_fleet_is_made_and_needs_nothing_more(world: FleetWorld) -> None:
    applied(world)
    assert [world.store.get(spec.name).fleet for spec in TRIO.machines] == ["shop"] * 3
    roles = {m.name: m.swarm.role for m in map(world.store.get, ("mgr", "web-1", "web-2")) if m.swarm}
    assert roles == {"mgr": "manager", "web-1": "worker", "web-2": "worker"}
    again = world.plan(TRIO)
    assert again.changes_nothing, list(again.actions)


def test_one_connection_a_host_serves_the_look_and_everything_after_it(world: FleetWorld) -> None:
    applied(world)
    changed = moved(moved(TRIO, "web-1", engine=EngineSpec(labels=("env=dev",))), "web-2", labels={"rack": "7"})
    world.apply(changed)
    hosts = [connection.address.host for connection in world.connections]
    assert sorted(hosts) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert all(connection.closed for connection in world.connections)


def test_a_new_fleet_opens_one_connection_a_host(world: FleetWorld) -> None:
    applied(world)
    assert len(world.connections) == 3


def test_a_change_changes_exactly_what_differs(world: FleetWorld) -> None:
    applied(world)
    changed = moved(TRIO, "web-1", swarm=NodeSpec("worker", {"tier": "web"}))
    assert kinds(world.plan(changed)) == {"web-1": [ActionKind.ADJUST]}
    applied(world, changed)
    assert world.plan(changed).changes_nothing


def test_engine_options_reach_the_host_with_its_node_drained(world: FleetWorld) -> None:
    applied(world)
    world.reporter.events.clear()
    changed = moved(TRIO, "web-1", engine=EngineSpec(labels=("env=dev",)))
    applied(world, changed)
    assert "env=dev" in world.host_facts["192.0.2.2"]["daemon_json"]
    steps = [event.step for event in world.reporter.events if event.machine == "web-1" and event.kind == "finished"]
    assert steps.index("swarm drain") < steps.index(SetUpEngine.title) < steps.index("swarm activate")


def test_a_size_changes_with_the_machine_off(world: FleetWorld) -> None:
    wanted = fleet(machine(1, "db"))
    applied(world, wanted)
    applied(world, fleet(machine(1, "db", options={"fake_size": 4})))
    assert world.cloud.sizes(world.store.get("db").id)["cpus"] == 4
    assert world.store.get("db").options["fake_size"] == 4


@pytest.mark.parametrize("needs_power_off", [False, True])
def test_an_instance_is_changed_as_it_runs_or_drained_and_off(world: FleetWorld, needs_power_off: bool) -> None:
    applied(world)
    world.reporter.events.clear()
    world.cloud.needs_power_off = needs_power_off
    changed = moved(TRIO, "web-1", options={"fake_address": "192.0.2.2", "fake_tags": ("blue",)})
    assert kinds(world.plan(changed)) == {"web-1": [ActionKind.REFIT]}
    applied(world, changed)
    machine = world.store.get("web-1")
    assert world.cloud.tags(machine.id) == machine.options["fake_tags"] == ["blue"]
    assert world.cloud.hosts()[machine.id] is State.RUNNING
    steps = [event.step for event in world.reporter.events if event.machine == "web-1" and event.kind == "finished"]
    around = ["swarm drain", "stop", "change the instance", "start", "swarm activate"]
    assert [step for step in steps if step in around] == (around if needs_power_off else ["change the instance"])
    assert world.plan(changed).changes_nothing


def test_an_instance_that_cannot_be_changed_is_left_on(world: FleetWorld) -> None:
    applied(world)
    world.cloud.needs_power_off = True
    world.cloud.fail("refit", DriverError("no such tag"))
    changed = moved(TRIO, "web-1", options={"fake_address": "192.0.2.2", "fake_tags": ("blue",)})
    assert world.apply(changed).unfinished == ("web-1",)
    assert world.cloud.hosts()[world.store.get("web-1").id] is State.RUNNING
    assert world.store.get("web-1").options["fake_tags"] == []
    applied(world, changed)
    assert world.cloud.tags(world.store.get("web-1").id) == ["blue"]


def test_a_machine_leaves_its_swarm_before_it_goes(world: FleetWorld) -> None:
    applied(world)
    applied(world, fleet(*TRIO.machines[:2]))
    assert world.store.find("web-2") is None
    assert len(world.cloud.hosts()) == 2
    world.host_facts.pop("192.0.2.3")  # it went with its host
    applied(world)
    assert world.plan(TRIO).changes_nothing


def test_one_host_that_fails_stops_only_itself(world: FleetWorld) -> None:
    world.broken.add("192.0.2.2")
    account = world.apply(TRIO)
    assert account.unfinished == ("web-1",)
    outcomes = {result.action.id: result.outcome for result in account}
    assert outcomes["create:web-1"] is Outcome.FAILED
    assert outcomes["join:web-1"] is Outcome.SKIPPED
    assert outcomes["join:web-2"] is Outcome.DONE
    assert failed_of("shop", world.store) == ("web-1",)
    world.broken.clear()
    assert kinds(world.plan(TRIO)) == {"web-1": [ActionKind.RESUME, ActionKind.JOIN]}
    applied(world)
    assert failed_of("shop", world.store) == ()


def test_without_its_founder_nobody_joins(world: FleetWorld) -> None:
    world.broken.add("192.0.2.1")
    account = world.apply(TRIO)
    assert set(account.unfinished) == {"mgr", "web-1", "web-2"}
    assert world.store.get("web-1").phase is Phase.READY


def test_after_too_many_failures_no_other_machine_is_begun(world: FleetWorld) -> None:
    wanted = fleet(*(machine(n, f"n{n}") for n in range(1, 9)))
    world.broken.update(f"192.0.2.{n}" for n in range(1, 9))
    account = world.apply(wanted, width=1, max_failures=2)
    assert len(account.having(Outcome.FAILED)) == 3
    assert len(account.having(Outcome.LEFT)) == 5


def test_a_host_that_does_not_answer_is_left_alone(world: FleetWorld) -> None:
    applied(world)
    world.dead.add("192.0.2.2")
    made = world.plan(TRIO)
    assert set(made.unseen) == {"web-1"}
    assert not made.chains


def test_a_machine_whose_host_vanished_is_made_anew(world: FleetWorld) -> None:
    applied(world)
    former = world.store.get("web-1")
    world.cloud.set_state(former.id, None)
    world.host_facts.pop("192.0.2.2")
    world.cut("web-1")
    assert kinds(world.plan(TRIO)) == {"web-1": [ActionKind.REMAKE, ActionKind.JOIN]}
    applied(world)
    assert world.store.get("web-1").id != former.id
    assert world.plan(TRIO).changes_nothing


def test_a_fleet_whose_machines_all_vanished_is_made_anew(world: FleetWorld) -> None:
    applied(world)
    for name in ("mgr", "web-1", "web-2"):
        world.cloud.set_state(world.store.get(name).id, None)
        world.cut(name)
    world.host_facts.clear()
    applied(world)
    assert world.plan(TRIO).changes_nothing


def test_a_replacement_needs_to_be_allowed(world: FleetWorld) -> None:
    applied(world)
    made = world.plan(moved(TRIO, "web-1", options={"fake_address": "192.0.2.2", "fake_zone": "west"}))
    with pytest.raises(CheckFailed, match="web-1: zone east → west"):
        refuse(made, replace=False)
    refuse(made, replace=True)


def test_a_replacement_is_made_and_joins(world: FleetWorld) -> None:
    applied(world)
    former = world.store.get("web-1").id
    changed = moved(TRIO, "web-1", options={"fake_address": "192.0.2.22", "fake_zone": "west"})
    applied(world, changed)
    assert world.store.get("web-1").id != former
    assert world.plan(changed).changes_nothing


def test_a_second_apply_is_told_who_holds_the_fleet(world: FleetWorld) -> None:
    with (
        leased("shop", "apply", world.tools),
        pytest.raises(LeaseHeld, match="fleet shop "),
        leased("shop", "apply", world.tools),
    ):
        pass


def test_settings_of_the_swarm_are_given_and_noted(world: FleetWorld) -> None:
    applied(world)
    changed = replace(TRIO, swarm=SwarmSpec(autolock=True, task_history=3))
    applied(world, changed)
    assert world.plan(changed).changes_nothing


@pytest.fixture
def compose(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text("services: {web: {image: 'busybox:${TAG}'}}\n")
    return path


def test_a_stack_is_deployed_with_its_values_in_the_document_alone(world: FleetWorld, compose: Path) -> None:
    shop = replace(stack("shop"), files=(str(compose),), environment={"TAG": "1", "TOKEN": "hush"})
    applied(world, replace(TRIO, stacks=(shop,)))
    ((words, environ),) = world.programs.calls
    assert words[:3] == ["docker", "stack", "deploy"]
    assert words[-4:] == ["--compose-file", "-", "--prune", "shop"]
    assert environ["DOCKER_HOST"] == "tcp://192.0.2.1:2376"
    assert environ["DOCKER_TLS_VERIFY"] == "1"
    assert "TAG" not in environ
    assert "TOKEN" not in environ
    document = json.loads(world.programs.inputs[0])
    assert document == {"version": "3.9", "services": {"web": {"image": "busybox:1"}}}
    assert "hush" not in " ".join(words) + str(world.store.note(note_name("shop")))
    assert world.plan(replace(TRIO, stacks=(shop,))).changes_nothing


def test_a_computer_without_compose_is_seen_by_the_plan(world: FleetWorld, compose: Path) -> None:
    wanted = replace(TRIO, stacks=(replace(stack("shop"), files=(str(compose),)),))
    world.programs.composes = False
    made = world.plan(wanted)
    assert [(refusal.subject, refusal.message) for refusal in made.refusals] == [
        ("stack shop", "the docker client of this computer has no Compose")
    ]
    assert not made.of(ActionKind.DEPLOY)
    assert limited(made, {"shop"}).refusals == made.refusals


def test_a_stack_on_a_machine_is_not_planned_to_go_without_compose(world: FleetWorld, compose: Path) -> None:
    metrics = replace(stack("metrics", on="web-1"), files=(str(compose),))
    applied(world, replace(TRIO, stacks=(metrics,)))
    world.programs.composes = False
    made = world.plan(TRIO)
    assert [refusal.subject for refusal in made.refusals] == ["stack metrics"]
    assert not made.chains


def test_destroying_tells_of_a_stack_that_cannot_be_taken_down(world: FleetWorld, compose: Path) -> None:
    wanted = replace(TRIO, stacks=(replace(stack("metrics", on="web-1"), files=(str(compose),)),))
    applied(world, wanted)
    world.programs.composes = False
    with FleetWork(wanted, world.tools, world.computer) as work:
        made = work.plan_removal(frozenset({"mgr", "web-1", "web-2", "metrics"}))
    assert [refusal.subject for refusal in made.refusals] == ["stack metrics"]
    world.programs.composes = True
    with FleetWork(wanted, world.tools, world.computer) as work:
        made = work.plan_removal(frozenset({"mgr", "web-1", "web-2", "metrics"}))
    assert not made.refusals
    assert made.of(ActionKind.WITHDRAW)


def test_what_compose_refuses_is_refused_by_the_plan(world: FleetWorld, compose: Path) -> None:
    world.programs.complaint = "services.web.image must be a string"
    made = world.plan(replace(TRIO, stacks=(replace(stack("shop"), files=(str(compose),)),)))
    (refusal,) = made.refusals
    assert refusal.message.endswith(" stack shop: services.web.image must be a string")


def test_no_proxy_stands_between_the_client_and_a_machine(world: FleetWorld) -> None:
    applied(world)
    for proxies, expected in (
        ({"HTTPS_PROXY": "http://proxy:3128"}, {"NO_PROXY": "192.0.2.2"}),
        ({"all_proxy": "socks5://proxy", "no_proxy": "a,b"}, {"no_proxy": "a,b,192.0.2.2"}),
        ({}, {}),
    ):
        environ = client_environ(world.store.get("web-1"), world.tools, proxies)
        assert {name: text for name, text in environ.items() if name.lower() == "no_proxy"} == expected


def test_a_stack_whose_file_changed_is_deployed_again(world: FleetWorld, compose: Path) -> None:
    shop = replace(stack("shop"), files=(str(compose),))
    wanted = replace(TRIO, stacks=(shop,))
    applied(world, wanted)
    compose.write_text("services: {web: {image: busybox}}\n")
    assert kinds(world.plan(wanted)) == {"stack shop": [ActionKind.DEPLOY]}


def test_a_stack_on_one_machine_is_compose_up_and_down(world: FleetWorld, compose: Path) -> None:
    compose.write_text("services: {web: {build: .}}\n")
    metrics = replace(stack("metrics", on="web-1"), files=(str(compose),))
    applied(world, replace(TRIO, stacks=(metrics,)))
    applied(world, TRIO)
    up, down = world.programs.lines()
    assert up == f"docker compose -p metrics -f {compose} up --detach --build --remove-orphans"
    assert down == "docker compose -p metrics down --remove-orphans"
    assert all(environ["DOCKER_HOST"] == "tcp://192.0.2.2:2376" for _, environ in world.programs.calls)


def test_what_is_built_cannot_go_to_a_swarm_of_several_nodes(world: FleetWorld, compose: Path) -> None:
    compose.write_text("services: {web: {build: .}}\n")
    shop = replace(stack("shop"), files=(str(compose),))
    (failed,) = world.apply(replace(TRIO, stacks=(shop,))).having(Outcome.FAILED)
    assert isinstance(failed.error, CheckFailed)
    assert " 3 nodes" in failed.error.message


def test_hooks_are_told_of_what_they_are_called_for(world: FleetWorld) -> None:
    wanted = replace(fleet(machine(1, "db")), hooks={"after_create": "/notify.sh", "before_remove": "/bye.sh"})
    applied(world, wanted)
    applied(world, replace(wanted, machines=()))
    (created, environ), (removed, _) = world.programs.calls
    assert (created, removed) == (["/notify.sh"], ["/bye.sh"])
    assert environ["PYMACHINE_EVENT"] == "after_create"
    assert (environ["PYMACHINE_FLEET"], environ["PYMACHINE_MACHINE"], environ["PYMACHINE_IP"]) == (
        "shop", "db", "192.0.2.1",
    )  # fmt: skip


def test_a_hook_that_fails_before_something_stops_it(world: FleetWorld) -> None:
    world.programs.codes["/check.sh"] = 3
    account = world.apply(replace(fleet(machine(1, "db")), hooks={"before_create": "/check.sh"}))
    (failed,) = account.having(Outcome.FAILED)
    assert failed.error is not None
    assert "code 3" in failed.error.message
    assert world.store.find("db") is None


def test_each_host_has_a_log_for_its_owner_alone(world: FleetWorld) -> None:
    applied(world)
    assert world.work is not None
    path = world.work.logs.path_of("web-1")
    assert path == world.store.folder / "logs" / "shop" / "web-1.log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert f"{SetUpEngine.title}: done" in path.read_text()


def test_destroying_takes_everything_of_the_fleet(world: FleetWorld, compose: Path) -> None:
    shop = replace(stack("shop"), files=(str(compose),))
    applied(world, replace(TRIO, stacks=(shop,)))
    applied(world, Fleet("shop", ()))
    assert world.store.records() == []
    assert world.cloud.hosts() == {}
    assert world.programs.lines()[-1] == "docker stack rm shop"


def test_a_manager_that_died_is_replaced_by_one_on_another_host(tmp_path: Path) -> None:
    world = FleetWorld(tmp_path / "store", preexisting=True)
    three = fleet(*(machine(n, f"mgr-{n}", "manager") for n in (1, 2, 3)))
    applied(world, three)
    world.dead.add("192.0.2.1")
    world.cut("mgr-1")
    assert "mgr-1" in world.plan(three).unseen
    moved_away = moved(three, "mgr-1", options={"fake_address": "192.0.2.11"})
    assert kinds(world.plan(moved_away)) == {"mgr-1": [ActionKind.REPLACE, ActionKind.JOIN]}
    applied(world, moved_away)
    assert world.plan(moved_away).changes_nothing
    assert world.work is not None
    view = world.work.known.view
    assert view is not None
    assert (view.quorum.managers, view.quorum.reachable) == (3, 3)
