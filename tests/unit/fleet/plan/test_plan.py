"""Plans, case by case: what is planned, why, and in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pymachine.difference import Difference
from pymachine.engine.effects import RESTARTING, Aspect, Change
from pymachine.fleet.inventory.model import Fleet, SwarmSpec
from pymachine.fleet.plan import ActionKind, Deployed, FleetState, ObservedMachine, Plan, payloads, plan
from pymachine.fleet.plan.actions import Interruption
from pymachine.model import EngineSpec, Phase, State
from pymachine.swarm_api.protocol import NodeStatus
from pymachine.swarm_api.services import Service
from pymachine.swarm_api.view import DRAINED_LABEL, MACHINE_LABEL
from unit.fleets import Sim, fleet, kinds, ordered, spec, stack

TRIO = fleet(spec("mgr", "manager"), spec("web-1", "worker"), spec("web-2", "worker"))
THREE = fleet(*(spec(f"mgr-{n}", "manager") for n in (1, 2, 3)), spec("web", "worker"))


def standing(wanted: Fleet = TRIO) -> Sim:
    """A fleet that is as its inventory says."""
    sim = Sim()
    sim.apply(wanted)
    assert sim.plan(wanted).changes_nothing
    return sim


def reasons(made: Plan, subject: str) -> str:
    return "; ".join(r for chain in made.chains if chain.subject == subject for a in chain.actions for r in a.reasons)


def test_a_new_fleet_is_created_founded_and_joined() -> None:
    made = Sim().plan(TRIO)
    assert kinds(made) == {
        "mgr": [ActionKind.CREATE, ActionKind.INIT],
        "web-1": [ActionKind.CREATE, ActionKind.JOIN],
        "web-2": [ActionKind.CREATE, ActionKind.JOIN],
    }
    assert made.of(ActionKind.JOIN)[0].needs == ("init:mgr",)


def test_workers_join_at_once_and_managers_one_after_the_other() -> None:
    made = Sim().plan(THREE)
    joins = {action.subject: action for action in made.of(ActionKind.JOIN)}
    assert joins["mgr-2"].waits == ("init:mgr-1",) or joins["mgr-2"].needs == ("init:mgr-1",)
    assert joins["mgr-3"].waits == ("join:mgr-2",)
    assert joins["web"].waits == ()


def test_a_changed_size_is_a_reason_in_words() -> None:
    sim = standing()
    made = sim.plan(fleet(spec("mgr", "manager", options={"fake_size": 4}), *TRIO.machines[1:]))
    assert kinds(made) == {"mgr": [ActionKind.RESIZE]}
    assert reasons(made, "mgr") == "size 1 → 4"


def test_an_option_that_the_driver_changes_is_no_replacement() -> None:
    made = standing().plan(fleet(*TRIO.machines[:2], spec("web-2", "worker", options={"fake_tags": ("a", "b")})))
    assert kinds(made) == {"web-2": [ActionKind.REFIT]}
    assert reasons(made, "web-2") == "tags none → a, b"


def test_an_option_that_makes_another_machine_is_a_replacement() -> None:
    made = standing().plan(fleet(*TRIO.machines[:2], spec("web-2", "worker", options={"fake_zone": "west"})))
    assert kinds(made) == {"web-2": [ActionKind.REPLACE, ActionKind.JOIN]}
    assert "zone east → west" in reasons(made, "web-2")


def test_another_driver_is_a_replacement() -> None:
    made = standing().plan(fleet(*TRIO.machines[:2], spec("web-2", "worker", driver="other")))
    assert kinds(made)["web-2"] == [ActionKind.REPLACE, ActionKind.JOIN]


def test_how_a_machine_is_reached_changes_without_touching_it() -> None:
    made = standing().plan(fleet(*TRIO.machines[:2], spec("web-2", "worker", options={"fake_account": "ops"})))
    assert kinds(made) == {"web-2": [ActionKind.REACH]}
    assert made.partial


def test_labels_change_the_record_alone() -> None:
    made = standing().plan(fleet(spec("mgr", "manager", labels={"env": "dev"}), *TRIO.machines[1:]))
    assert kinds(made) == {"mgr": [ActionKind.RELABEL]}
    assert reasons(made, "mgr") == "label env none → dev"


def test_node_labels_and_availability_change_the_node() -> None:
    machines = (
        *TRIO.machines[:2],
        spec("web-2", "worker", node_labels={"tier": "web"}, availability="drain"),
    )
    made = standing().plan(fleet(*machines))
    assert kinds(made) == {"web-2": [ActionKind.ADJUST]}
    assert "node label tier none → web" in reasons(made, "web-2")
    assert "availability active → drain" in reasons(made, "web-2")


def test_engine_options_are_configured_with_their_reason() -> None:
    wanted = fleet(spec("mgr", "manager", engine=EngineSpec(labels=("env=dev",))), *TRIO.machines[1:])
    made = standing().plan(wanted)
    assert kinds(made) == {"mgr": [ActionKind.CONFIGURE]}
    assert reasons(made, "mgr") == "labels none → env=dev"
    assert made.of(ActionKind.CONFIGURE)[0].payload == payloads.Configure({"labels": ("env=dev",)}, RESTARTING)


def test_secrets_in_options_are_not_shown() -> None:
    wanted = fleet(spec("mgr", engine=EngineSpec(env=("TOKEN=hush",), https_proxy="http://me:hush@proxy")))
    sim = standing(fleet(spec("mgr")))
    assert "hush" not in reasons(sim.plan(wanted), "mgr")


def test_what_drifted_on_the_host_is_configured_again() -> None:
    sim = standing()
    sim.findings["web-1"] = replace(
        sim.findings["web-1"], changes=(Change("set mtu in daemon.json", "as requested"),)
    )
    made = sim.plan(TRIO)
    assert kinds(made) == {"web-1": [ActionKind.CONFIGURE]}
    assert "mtu in daemon.json: " in reasons(made, "web-1")


ENDING = Change("issue a new server certificate", "expires in 3 days", Aspect.CERTIFICATES, RESTARTING)


def test_certificates_that_end_are_renewed() -> None:
    sim = standing()
    sim.findings["web-1"] = replace(sim.findings["web-1"], changes=(ENDING,))
    assert kinds(sim.plan(TRIO)) == {"web-1": [ActionKind.RENEW]}


def upgraded(wanted: Fleet, version: str) -> Fleet:
    machines = tuple(replace(machine, engine=EngineSpec(version=version)) for machine in wanted.machines)
    return replace(wanted, machines=machines)


def test_versions_roll_over_managers_leader_last_then_workers() -> None:
    sim = standing(THREE)
    made = sim.plan(upgraded(THREE, "28.5.2"))
    order = [action.subject for action in ordered(made) if action.kind is ActionKind.UPGRADE]
    assert order == ["mgr-2", "mgr-3", "mgr-1", "web"]
    upgrades = {action.subject: action for action in made.of(ActionKind.UPGRADE)}
    assert upgrades["mgr-3"].needs == ("upgrade:mgr-2",)
    assert upgrades["mgr-1"].needs == ("upgrade:mgr-3",)
    assert upgrades["web"].waits == ("upgrade:mgr-1",)


def test_a_manager_that_fails_to_upgrade_stops_those_after_it() -> None:
    sim = standing(THREE)
    wanted = upgraded(THREE, "28.5.2")
    done = [action.id for action in ordered(sim.plan(wanted), {"upgrade:mgr-2"})]
    assert done == ["upgrade:web"]


def test_engines_outside_a_swarm_upgrade_at_once() -> None:
    wanted = fleet(spec("a"), spec("b"))
    made = standing(wanted).plan(upgraded(wanted, "28.5.2"))
    assert all(not action.waits and not action.needs for action in made.actions)


def test_a_downgrade_is_refused() -> None:
    made = standing().plan(upgraded(TRIO, "20.10.24"))
    assert {refusal.subject for refusal in made.refusals} == {"mgr", "web-1", "web-2"}
    assert "downgrade" in made.refusals[0].message


def test_a_pin_on_the_version_that_is_there_is_only_noted() -> None:
    made = standing().plan(upgraded(TRIO, "26.1"))
    assert kinds(made)["mgr"] == [ActionKind.CONFIGURE]
    assert made.of(ActionKind.CONFIGURE)[0].payload == payloads.Configure({"version": "26.1"})


def test_a_machine_that_is_not_listed_any_more_goes_after_its_replacement_came() -> None:
    sim = standing()
    made = sim.plan(fleet(*TRIO.machines[:2], spec("web-3", "worker")))
    assert kinds(made) == {"web-3": [ActionKind.CREATE, ActionKind.JOIN], "web-2": [ActionKind.REMOVE]}
    assert made.of(ActionKind.REMOVE)[0].waits == ("join:web-3",)


def test_a_manager_goes_only_if_its_replacement_came() -> None:
    sim = standing(THREE)
    machines = (*THREE.machines[:2], spec("mgr-4", "manager"), THREE.machines[3])
    made = sim.plan(fleet(*machines))
    assert "join:mgr-4" in made.of(ActionKind.REMOVE)[0].needs


def test_machines_of_others_stay() -> None:
    sim = standing()
    for name, owner in (("theirs", "blog"), ("mine", "")):
        sim.records[name] = replace(sim.records["web-1"], name=name, fleet=owner, swarm=None)
    assert sim.plan(TRIO).changes_nothing


def test_a_machine_of_another_fleet_is_refused() -> None:
    sim = standing()
    sim.records["web-1"] = sim.records["web-1"].with_(fleet="blog")
    (refusal,) = sim.plan(TRIO).refusals
    assert refusal.subject == "web-1"
    assert refusal.message.endswith(" fleet blog")


def test_a_machine_of_nobody_is_taken_in() -> None:
    sim = standing()
    sim.records["web-1"] = sim.records["web-1"].with_(fleet="")
    assert kinds(sim.plan(TRIO)) == {"web-1": [ActionKind.ADOPT]}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"phase": Phase.ALLOCATED}, ActionKind.RESUME),
        ({"phase": Phase.ALLOCATED, "fleet": ""}, ActionKind.RESUME),
        ({"phase": Phase.REMOVING}, ActionKind.REMAKE),
        ({"phase": Phase.ALLOCATED, "driver": "other"}, ActionKind.REMAKE),
    ],
)
def test_half_made_machines_are_gone_on_with(changes: dict[str, object], kind: ActionKind) -> None:
    sim = Sim()
    sim.apply(fleet(spec("web")))
    sim.records["web"] = sim.records["web"].with_(**changes)
    assert kinds(sim.plan(fleet(spec("web")))) == {"web": [kind]}


def test_a_host_that_vanished_is_made_anew_and_joins() -> None:
    sim = standing(THREE)
    sim.lose("mgr-1")
    made = sim.plan(THREE)
    assert kinds(made) == {"mgr-1": [ActionKind.REMAKE, ActionKind.JOIN]}
    assert " gone" in reasons(made, "mgr-1")


def test_a_machine_that_is_off_is_started() -> None:
    sim = standing()
    sim.findings["web-1"] = ObservedMachine(State.STOPPED)
    made = sim.plan(TRIO)
    assert kinds(made) == {"web-1": [ActionKind.START]}
    assert made.partial


def test_a_host_that_cannot_be_seen_is_left_alone_and_told() -> None:
    sim = standing()
    sim.findings["web-1"] = ObservedMachine(State.UNREACHABLE, "no route")
    made = sim.plan(fleet(*TRIO.machines[:1], spec("web-1", "worker", engine=EngineSpec(opts=("debug",))),
                          TRIO.machines[2]))  # fmt: skip
    assert not made.chains
    assert made.unseen == {"web-1": "no route"}


def test_roles_change_promotions_before_demotions() -> None:
    sim = standing(THREE)
    machines = (spec("mgr-1", "worker"), *THREE.machines[1:3], spec("web", "manager"))
    made = sim.plan(fleet(*machines))
    assert kinds(made) == {"mgr-1": [ActionKind.DEMOTE], "web": [ActionKind.PROMOTE]}
    assert made.of(ActionKind.DEMOTE)[0].needs == ("promote:web",)
    assert reasons(made, "web") == "role worker → manager"


def test_a_node_left_drained_by_an_upgrade_is_given_back() -> None:
    sim = standing()
    node = sim.nodes["web-1"]
    sim.nodes["web-1"] = replace(node, availability="drain", labels={**node.labels, DRAINED_LABEL: "active"})
    made = sim.plan(TRIO)
    assert kinds(made) == {"web-1": [ActionKind.ADJUST]}
    assert "interrupted" in reasons(made, "web-1")


def test_an_engine_that_left_by_itself_joins_again() -> None:
    sim = standing()
    sim.findings["web-1"] = replace(sim.findings["web-1"], node=NodeStatus("inactive"))
    assert kinds(sim.plan(TRIO)) == {"web-1": [ActionKind.JOIN]}


def test_a_node_of_another_swarm_is_refused() -> None:
    sim = standing()
    sim.apply(fleet(*TRIO.machines, spec("db")))
    sim.findings["db"] = replace(sim.findings["db"], node=NodeStatus("active", "n", "elsewhere", control=True))
    (refusal,) = sim.plan(fleet(*TRIO.machines, spec("db", "worker"))).refusals
    assert "another Swarm" in refusal.message


def test_a_locked_node_is_unlocked() -> None:
    sim = standing()
    sim.findings["mgr"] = replace(sim.findings["mgr"], node=NodeStatus("locked"))
    assert kinds(sim.plan(TRIO)) == {"mgr": [ActionKind.UNLOCK]}


def test_a_lost_quorum_is_recognised_and_names_the_way_out() -> None:
    sim = standing(THREE)
    for name in ("mgr-1", "mgr-2"):
        sim.nodes[name] = replace(sim.nodes[name], reachable=False)
        sim.findings[name] = ObservedMachine(State.UNREACHABLE, "no route")
    (refusal,) = sim.plan(THREE).refusals
    assert "swarm recover" in refusal.hint


def test_a_fleet_whose_machines_all_vanished_begins_anew() -> None:
    sim = standing()
    for name in ("mgr", "web-1", "web-2"):
        sim.lose(name)
    made = sim.plan(TRIO)
    assert kinds(made)["mgr"] == [ActionKind.REMAKE, ActionKind.INIT]


def test_nodes_of_machines_that_are_gone_are_forgotten() -> None:
    sim = standing()
    labels = {MACHINE_LABEL: "id-of-nobody"}
    sim.nodes["ghost"] = replace(sim.nodes["web-1"], id="n99", hostname="ghost", state="down", labels=labels)
    sim.nodes["stranger"] = replace(sim.nodes["web-1"], id="n98", hostname="stranger", state="down", labels={})
    assert kinds(sim.plan(TRIO)) == {"ghost": [ActionKind.FORGET]}


def test_settings_of_the_swarm_change() -> None:
    sim = standing()
    made = sim.plan(replace(TRIO, swarm=SwarmSpec(autolock=True, task_history=10)))
    assert kinds(made) == {"swarm": [ActionKind.SETTINGS]}
    assert reasons(made, "swarm") == "autolock False → True; task history none → 10"


def test_what_a_swarm_keeps_for_good_is_only_told() -> None:
    made = standing().plan(replace(TRIO, swarm=SwarmSpec(address_pools=("10.80.0.0/16",))))
    assert not made.chains
    assert [note.startswith("address pools ") for note in made.notes] == [True]


def test_stacks_come_last_and_need_the_swarm() -> None:
    made = Sim(digests={"shop": "1"}).plan(replace(TRIO, stacks=(stack("shop"),)))
    (deploy,) = made.of(ActionKind.DEPLOY)
    assert deploy.needs == ("init:mgr",)
    assert set(deploy.waits) >= {"join:web-1", "join:web-2"}


def test_a_stack_is_deployed_again_when_it_changes_and_goes_when_it_is_not_listed() -> None:
    wanted = replace(TRIO, stacks=(stack("shop"), stack("metrics", on="web-1")))
    sim = Sim(digests={"shop": "1", "metrics": "1"})
    sim.apply(wanted)
    assert sim.plan(wanted).changes_nothing
    sim.digests["shop"] = "2"
    made = sim.plan(replace(TRIO, stacks=(stack("shop"),)))
    assert kinds(made) == {"stack shop": [ActionKind.DEPLOY], "stack metrics": [ActionKind.WITHDRAW]}


def test_a_stack_that_moves_is_withdrawn_first() -> None:
    sim = Sim(digests={"metrics": "1"})
    sim.apply(replace(TRIO, stacks=(stack("metrics", on="web-1"),)))
    made = sim.plan(replace(TRIO, stacks=(stack("metrics", on="web-2"),)))
    assert kinds(made) == {"stack metrics": [ActionKind.WITHDRAW, ActionKind.DEPLOY]}


def test_a_stack_on_a_machine_that_is_replaced_is_deployed_again() -> None:
    wanted = replace(TRIO, stacks=(stack("metrics", on="web-1"),))
    sim = Sim(digests={"metrics": "1"})
    sim.apply(wanted)
    sim.lose("web-1")
    made = sim.plan(wanted)
    assert kinds(made) == {"web-1": [ActionKind.REMAKE, ActionKind.JOIN], "stack metrics": [ActionKind.DEPLOY]}
    assert set(made.of(ActionKind.DEPLOY)[0].needs) == {"remake:web-1", "join:web-1"}


def test_destroying_a_fleet_takes_stacks_workers_and_managers_in_this_order() -> None:
    sim = Sim(digests={"shop": "1"})
    sim.apply(replace(THREE, stacks=(stack("shop"),)))
    made = sim.apply(Fleet("shop", ()))
    order = [action.subject for action in ordered(made)]
    assert order[:2] == ["shop", "web"]
    assert not sim.records
    assert sim.done[-1] == "remove:mgr-1"  # the leader


def test_an_even_number_of_managers_is_advised_against() -> None:
    assert "odd number" in Sim().plan(fleet(spec("a", "manager"), spec("b", "manager"))).notes[0]


@pytest.mark.parametrize(
    ("pool", "told"),
    [
        ("10.0.0.0/8", "the pool 10.0.0.0/8 contains 10.1.2.3, an address of web-1"),
        ("172.16.0.0/12", "the pool 172.16.0.0/12 contains 172.17.0.1/16, a network of the engine of web-1"),
        ("192.168.7.0/24", "the pool 192.168.7.0/24 contains 192.168.7.9, an address of new"),
    ],
)
def test_an_address_pool_in_which_a_host_lies_is_refused_by_the_plan(pool: str, told: str) -> None:
    """Founding the Swarm would refuse it, after everything else was done."""
    sim = Sim()
    alone = fleet(spec("mgr"), spec("web-1"))
    sim.apply(alone)
    sim.findings["web-1"] = replace(sim.findings["web-1"], addresses=("10.1.2.3",), bridges=("172.17.0.1/16",))
    fresh = spec("new", "worker", driver="other", options={"ssh_host": "192.168.7.9"})
    wanted = fleet(spec("mgr", "manager"), spec("web-1", "worker"), fresh, swarm=SwarmSpec(address_pools=(pool,)))
    made = sim.plan(wanted)
    (refusal,) = made.refusals
    assert refusal.subject == "swarm"
    assert refusal.message.startswith(told)
    assert not made.of(ActionKind.INIT, ActionKind.JOIN)
    free = replace(wanted, swarm=SwarmSpec(address_pools=("100.64.0.0/16",)))
    assert [action.subject for action in sim.plan(free).of(ActionKind.INIT)] == ["mgr"]


def running(sim: Sim, name: str, **found: Any) -> None:
    sim.findings[name] = replace(sim.findings[name], **{"containers": (), **found})


def test_what_a_restart_stops_is_named() -> None:
    sim = standing()
    running(sim, "mgr", containers=("db", "web"), restart_stops=True)
    made = sim.plan(fleet(spec("mgr", "manager", engine=EngineSpec(labels=("env=dev",))), *TRIO.machines[1:]))
    assert made.of(ActionKind.CONFIGURE)[0].interruption == Interruption(("db", "web"))


def test_containers_that_outlive_the_restart_are_not_interrupted() -> None:
    wanted = fleet(spec("box"))
    sim = standing(wanted)
    running(sim, "box", containers=("db",))
    made = sim.plan(fleet(spec("box", engine=EngineSpec(labels=("env=dev",)))))
    assert made.of(ActionKind.CONFIGURE)[0].interruption == Interruption()


def test_tasks_of_a_drained_node_move() -> None:
    sim = standing()
    running(sim, "web-1", containers=("agent",), services=("shop_web",), restart_stops=True)
    changed = spec("web-1", "worker", engine=EngineSpec(env=("A=1",)))
    action = sim.plan(fleet(TRIO.machines[0], changed, TRIO.machines[2])).of(ActionKind.CONFIGURE)[0]
    assert action.interruption == Interruption(("agent",), moved=("shop_web",))
    assert [one.in_words() for one in action.differences] == ["env A none → ***"]


def test_a_machine_that_is_switched_off_stops_all_that_runs_there() -> None:
    wanted = fleet(spec("box"))
    sim = standing(wanted)
    running(sim, "box", containers=("db",), services=("shop_web",))
    action = sim.plan(fleet(spec("box", options={"fake_size": 4}))).of(ActionKind.RESIZE)[0]
    assert action.interruption == Interruption(("db",), ("shop_web",))
    assert action.differences == (Difference("size", 1, 4),)


def test_what_could_not_be_asked_is_not_nothing() -> None:
    wanted = fleet(spec("box"))
    sim = standing(wanted)
    running(sim, "box", containers=None)
    assert (
        sim.plan(fleet(spec("box", options={"fake_size": 4}))).of(ActionKind.RESIZE)[0].interruption.containers
        is None
    )


def test_a_stack_that_goes_stops_its_services() -> None:
    sim = standing()
    sim.memory = FleetState({"shop": Deployed("d", place=sim.cluster)})
    found = (Service("1", "shop_web", "shop", 1, 1), Service("2", "else_db", "else", 1, 1))
    made = plan(TRIO, sim.records, replace(sim.known(TRIO), services=found))
    assert made.of(ActionKind.WITHDRAW)[0].interruption == Interruption(services=("shop_web",))
