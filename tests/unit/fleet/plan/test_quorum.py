"""What no plan may do, in whatever order it is run: take the majority away, or restart a node that is not drained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import examples
from pymachine.engine.effects import RESTARTING
from pymachine.fleet.inventory.model import MachineSpec
from pymachine.fleet.plan import Plan, plan
from pymachine.model import EngineSpec, State
from pymachine.swarm_api.protocol import NodeStatus
from pymachine.swarm_api.view import ClusterView
from unit.fleets import Sim, fleet, spec
from unit.quorum_cases import ENDING, Case, carried_out, cases


@examples(60)
@given(st.data(), cases(troubled=False))
def test_a_plan_never_takes_more_managers_away_than_the_quorum_bears(data: st.DataObject, case: Case) -> None:
    work = carried_out(case, data.draw)
    assert not work.refused, work.refused
    assert work.ended == {action.id for action in work.made.actions}


@examples(60)
@given(st.data(), cases(troubled=True))
def test_nor_does_it_where_hosts_are_gone_and_actions_fail(data: st.DataObject, case: Case) -> None:
    """What the order cannot know, the drain itself refuses; here it is the same rule that does."""
    carried_out(case, data.draw)


def planned(sim: Sim, *machines: MachineSpec) -> Plan:
    return sim.plan(fleet(*machines))


def with_env(*machines: MachineSpec) -> list[MachineSpec]:
    return [replace(machine, engine=EngineSpec(env=("FOO=bar",))) for machine in machines]


def managers_of(count: int) -> list[MachineSpec]:
    return [spec(f"m{number}", "manager") for number in range(count)]


def standing(count: int) -> Sim:
    sim = Sim()
    sim.apply(fleet(*managers_of(count)))
    return sim


def test_three_managers_whose_environment_changes_take_turns_drained() -> None:
    actions = {action.subject: action for action in planned(standing(3), *with_env(*managers_of(3))).actions}
    assert {action.effects for action in actions.values()} == {RESTARTING}
    assert all(action.drains for action in actions.values())
    assert {name: action.needs for name, action in actions.items()} == {
        "m1": (), "m2": ("configure:m1",), "m0": ("configure:m2",),
    }  # fmt: skip


def test_the_outage_of_two_managers_is_announced() -> None:
    made = planned(standing(2), *with_env(*managers_of(2)))
    assert any("2 managers: " in n and " m0, m1 " in n and "quorum" in n for n in made.notes)
    assert [action.needs for action in made.actions if action.subject == "m0"] == [("configure:m1",)]
    assert not any("no quorum" in note for note in planned(standing(3), *with_env(*managers_of(3))).notes)


def test_nothing_restarts_while_no_manager_can_be_spared() -> None:
    sim = standing(3)
    sim.lose("m2")
    sim.findings["m2"] = replace(sim.findings["m2"], state=State.UNREACHABLE)
    made = planned(sim, *with_env(*managers_of(3)))
    assert not list(made.actions)
    assert {refusal.subject for refusal in made.refusals} == {"m0", "m1"}
    assert "none may" in made.refusals[0].message


def test_what_interrupts_is_held_back_until_managers_that_are_off_are_on() -> None:
    sim = standing(3)
    sim.lose("m2")
    sim.findings["m2"] = replace(sim.findings["m2"], state=State.STOPPED)
    made = planned(sim, *with_env(*managers_of(3)))
    assert [action.id for action in made.actions] == ["start:m2"]
    assert made.partial
    assert any(note.endswith(": m0, m1") for note in made.notes)


def test_what_interrupts_is_held_back_until_the_swarm_can_be_asked() -> None:
    sim = standing(3)
    known = replace(sim.known(fleet(*with_env(*managers_of(3)))), view=ClusterView(sim.cluster, locked=("m0",)))
    made = plan(fleet(*with_env(*managers_of(3))), sim.records, known)
    assert [action.id for action in made.actions] == ["unlock:m0"]
    assert made.partial
    assert any(note.endswith(": m0, m1, m2") for note in made.notes)


def test_nodes_of_a_swarm_that_is_not_on_record_take_turns_as_well() -> None:
    sim = Sim()
    plain = [spec(f"m{number}") for number in range(3)]
    sim.apply(fleet(*plain))
    for name in ("m0", "m1", "m2"):
        sim.findings[name] = replace(sim.findings[name], node=NodeStatus("active", name, "c", control=True))
    made = planned(sim, *with_env(*plain))
    assert sorted(action.needs for action in made.actions) == [(), ("configure:m0",), ("configure:m1",)]
    assert not any(action.drains for action in made.actions)
    assert any("record" in note for note in made.notes)


def test_a_worker_waits_for_one_that_is_replaced_and_comes_back_as_a_manager() -> None:
    """It is away like any other worker, although it takes its turn among the managers that arrive."""
    machines = [spec("m0", "manager"), spec("w0", "worker"), spec("w2", "worker")]
    sim = Sim()
    sim.apply(fleet(*machines))
    sim.findings["w0"] = replace(sim.findings["w0"], changes=(ENDING,))
    made = planned(sim, *machines[:2], spec("w2", "manager", options={"fake_zone": "west"}))
    assert {action.id: action.waits for action in made.actions} == {
        "renew:w0": ("join:w2",), "replace:w2": (), "join:w2": (),
    }  # fmt: skip


def unseen(sim: Sim, *names: str) -> None:
    """Have machines not answer us, while their Swarm has them as ready."""
    for name in names:
        sim.findings[name] = replace(sim.findings[name], state=State.UNREACHABLE, reason="no route to host")


def test_a_node_that_moves_is_drained_if_its_managers_still_have_it() -> None:
    sim = standing(3)
    unseen(sim, "m2")
    moved = [*managers_of(2), spec("m2", "manager", options={"fake_address": "192.0.2.99"})]
    assert [action.drains for action in planned(sim, *moved).actions] == [True]
    sim.lose("m2")
    unseen(sim, "m2")
    assert [action.drains for action in planned(sim, *moved).actions] == [False]


@pytest.mark.parametrize("options", [{"fake_address": "192.0.2.99"}, {"fake_zone": "west"}])
def test_nor_is_one_that_does_not_answer_us_taken_away_where_none_can_be_spared(options: dict[str, str]) -> None:
    sim = standing(3)
    sim.lose("m1")
    unseen(sim, "m1", "m2")
    made = planned(sim, *managers_of(2), spec("m2", "manager", options=options))
    assert not list(made.actions)
    assert [refusal.subject for refusal in made.refusals] == ["m2"]
