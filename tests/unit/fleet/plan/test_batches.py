"""How many workers restart at once: which of them waits for which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pymachine.fleet.inventory.model import Fleet
from pymachine.fleet.plan import ONE_BY_ONE, ActionKind, Batch, Observed, Plan, plan
from pymachine.model import EngineSpec
from unit.fleets import TRAITS, Sim, fleet, ordered, spec

MANAGERS = ("m1", "m2", "m3")
WORKERS = ("w1", "w2", "w3", "w4", "w5")
ALL = fleet(*(spec(name, "manager") for name in MANAGERS), *(spec(name, "worker") for name in WORKERS))
RESTARTED = replace(ALL, machines=tuple(replace(m, engine=EngineSpec(version="28.5.2")) for m in ALL.machines))
LEADER = "upgrade:m1"  # the first of them leads, and restarts last

Waits = dict[str, tuple[str, ...]]


def planned(wanted: Fleet, batch: Batch, standing: Fleet = ALL) -> Plan:
    sim = Sim()
    sim.apply(standing)
    known = Observed(sim.findings, sim.view, TRAITS, sim.memory, sim.digests)
    return plan(wanted, sim.records, known, batch)


def waits_of(made: Plan, *kinds: ActionKind) -> Waits:
    return {action.subject: action.waits for action in made.of(*kinds) if action.subject in WORKERS}


def restarts(*among: str) -> Fleet:
    """The fleet with another engine on these alone."""
    machines = zip(ALL.machines, RESTARTED.machines, strict=True)
    return replace(ALL, machines=tuple(new if new.name in among else old for old, new in machines))


def test_one_by_one_each_worker_waits_for_the_one_before() -> None:
    assert waits_of(planned(RESTARTED, ONE_BY_ONE), ActionKind.UPGRADE) == {
        "w1": (LEADER,), "w2": ("upgrade:w1",), "w3": ("upgrade:w2",), "w4": ("upgrade:w3",), "w5": ("upgrade:w4",),
    }  # fmt: skip


def test_two_at_once_each_worker_waits_for_the_second_before() -> None:
    made = planned(RESTARTED, Batch(2))
    assert waits_of(made, ActionKind.UPGRADE) == {
        "w1": (LEADER,), "w2": (LEADER,), "w3": ("upgrade:w1",), "w4": ("upgrade:w2",), "w5": ("upgrade:w3",),
    }  # fmt: skip
    assert all(not action.needs for action in made.of(ActionKind.UPGRADE) if action.subject in WORKERS)


@pytest.mark.parametrize("batch", [Batch(5), Batch(100), Batch(100, percent=True)])
def test_a_batch_of_all_waits_for_the_managers_alone(batch: Batch) -> None:
    assert waits_of(planned(RESTARTED, batch), ActionKind.UPGRADE) == dict.fromkeys(WORKERS, (LEADER,))


def test_a_batch_of_all_waits_for_nothing_where_no_manager_restarts() -> None:
    assert waits_of(planned(restarts(*WORKERS), Batch(100)), ActionKind.UPGRADE) == dict.fromkeys(WORKERS, ())


def test_managers_restart_one_by_one_whatever_the_batch() -> None:
    def links(batch: Batch) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        upgrades = planned(RESTARTED, batch).of(ActionKind.UPGRADE)
        return [(action.id, action.needs, action.waits) for action in upgrades if action.subject in MANAGERS]

    assert links(Batch(3)) == links(ONE_BY_ONE)
    assert {name: needs for name, needs, _ in links(Batch(3))} == {
        "upgrade:m2": (), "upgrade:m3": ("upgrade:m2",), LEADER: ("upgrade:m3",),
    }  # fmt: skip


def test_a_percentage_is_one_of_the_workers_that_restart() -> None:
    """Of four, not of five: half of them are two."""
    assert waits_of(planned(restarts("w1", "w2", "w4", "w5"), Batch(50, percent=True)), ActionKind.UPGRADE) == {
        "w1": (), "w2": (), "w4": ("upgrade:w1",), "w5": ("upgrade:w2",),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("percent", "workers", "size"),
    [(25, 8, 2), (25, 9, 3), (25, 1, 1), (1, 5, 1), (1, 0, 1), (33, 100, 33), (100, 5, 5)],
)
def test_a_percentage_is_rounded_up_and_at_least_one(percent: int, workers: int, size: int) -> None:
    assert Batch(percent, percent=True).of(workers) == size


def test_what_is_left_out_leaves_no_gap() -> None:
    """Who waits for one that does not come waits for nobody: both beside it would restart at once."""
    made = planned(RESTARTED, Batch(1, among=frozenset({"m1", "w1", "w3", "w5"})))
    assert waits_of(made, ActionKind.UPGRADE) == {
        "w1": (LEADER,), "w2": (), "w3": ("upgrade:w1",), "w4": (), "w5": ("upgrade:w3",),
    }  # fmt: skip


def test_a_manager_alone_needs_none_that_is_left_out() -> None:
    upgrades = planned(RESTARTED, Batch(1, among=frozenset({"m1", "m3", "w1"}))).of(ActionKind.UPGRADE)
    needs = {action.id: action.needs for action in upgrades if action.subject in MANAGERS}
    assert needs == {"upgrade:m2": (), "upgrade:m3": (), LEADER: ("upgrade:m3",)}


def test_a_worker_that_is_replaced_has_joined_before_the_next_one_goes() -> None:
    west = tuple(replace(m, options={"fake_zone": "west"}) if m.name in WORKERS else m for m in ALL.machines)
    made = planned(replace(ALL, machines=west), Batch(2))
    assert waits_of(made, ActionKind.REPLACE) == {
        "w1": (), "w2": (), "w3": ("join:w1",), "w4": ("join:w2",), "w5": ("join:w3",),
    }  # fmt: skip
    assert len(ordered(made)) == 2 * len(WORKERS)
