"""What holds for every plan: it is carried out to the end, it keeps the majority, it leaves others alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties import examples
from pymachine.fleet.inventory.model import Fleet, MachineSpec, SwarmSpec
from pymachine.model import EngineSpec
from unit.fleets import Sim, fleet, ordered, spec, stack

NAMES = ("a", "b", "c", "d", "e", "f")
ENGINES = st.sampled_from([EngineSpec(), EngineSpec(labels=("env=dev",)), EngineSpec(version="26.1.5")])
CHANGES: list[dict[str, Any]] = [
    {}, {"fake_size": 4}, {"fake_zone": "west"}, {"fake_account": "ops"}, {"fake_spot": True}, {"fake_tags": ("a",)},
]  # fmt: skip
OPTIONS = st.sampled_from(CHANGES)


@st.composite
def machines(draw: Any, name: str) -> MachineSpec | None:
    if draw(st.integers(0, 3)) == 0:
        return None
    role = draw(st.sampled_from(["manager", "worker", "worker", None]))
    availability = draw(st.sampled_from(["active", "drain"]))
    return spec(
        name,
        role,
        options=draw(OPTIONS),
        engine=draw(ENGINES),
        labels=draw(st.sampled_from([{}, {"env": "dev"}])),
        availability=availability,
        node_labels=draw(st.sampled_from([{}, {"tier": "web"}])),
    )


@st.composite
def fleets(draw: Any) -> Fleet:
    found = [machine for name in NAMES if (machine := draw(machines(name)))]
    keeper = spec("keeper", "manager")  # a Swarm needs a manager that stays
    stacks = (stack("shop"), stack("metrics", on="keeper"))
    wanted = draw(st.lists(st.sampled_from(stacks), unique_by=lambda spec: spec.name))
    swarm = SwarmSpec(autolock=draw(st.booleans()), task_history=draw(st.sampled_from([None, 3])))
    return fleet(keeper, *found, stacks=tuple(wanted), swarm=swarm)


def world() -> Sim:
    sim = Sim(digests={"shop": "1", "metrics": "1"})
    sim.apply(fleet(spec("stranger")))
    sim.records["stranger"] = replace(sim.records["stranger"], fleet="")
    return sim


@examples(60)
@given(fleets(), fleets())
def test_what_was_applied_needs_nothing_more(first: Fleet, second: Fleet) -> None:
    sim = world()
    for wanted in (first, second):
        partial = sim.apply(wanted).partial
        if partial:
            sim.apply(wanted)
        left = sim.plan(wanted)
        assert left.changes_nothing, [action.id for action in left.actions]
    assert "stranger" in sim.records


@examples(40)
@given(fleets(), fleets(), st.sets(st.integers(0, 20), max_size=3))
def test_an_apply_that_failed_in_places_is_gone_on_with(first: Fleet, second: Fleet, broken: set[int]) -> None:
    sim = world()
    sim.apply(first)
    actions = [action.id for action in sim.plan(second).actions]
    sim.apply(second, failing=[name for place, name in enumerate(actions) if place in broken])
    for _ in range(3):
        sim.apply(second)
    assert sim.plan(second).changes_nothing


@examples(40)
@given(fleets(), st.sampled_from(NAMES))
def test_a_machine_that_vanishes_comes_back(wanted: Fleet, name: str) -> None:
    sim = world()
    sim.apply(wanted)
    if name in sim.records:
        sim.lose(name)
    if sim.view and sim.view.spoken_to:
        sim.apply(wanted)
        sim.apply(wanted)
        assert sim.plan(wanted).changes_nothing


@examples(40)
@given(fleets())
def test_destroying_leaves_nothing_of_the_fleet_and_everything_of_others(wanted: Fleet) -> None:
    sim = world()
    sim.apply(wanted)
    sim.apply(Fleet("shop", ()))
    assert list(sim.records) == ["stranger"]


@examples(20)
@given(fleets(), fleets())
def test_the_same_input_gives_the_same_plan(first: Fleet, second: Fleet) -> None:
    sim = world()
    sim.apply(first)
    assert sim.plan(second) == sim.plan(second)
    assert ordered(sim.plan(second)) == ordered(sim.plan(second))
