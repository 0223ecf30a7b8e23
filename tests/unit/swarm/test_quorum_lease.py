"""Two processes that take managers of one Swarm away: they take turns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine import swarm
from pymachine.clock import Clock
from pymachine.errors import CheckFailed, Interrupted, LeaseHeld
from pymachine.fleet.inventory.model import NodeSpec
from pymachine.interruption import Stoppable
from pymachine.override import override
from pymachine.steps.services import Services
from pymachine.store.sqlite import SqliteStore
from pymachine.swarm.quorum_lease import PATIENCE, lease_name
from unit.swarming import MANAGER, SwarmWorld

WORKER = NodeSpec("worker")


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> SwarmWorld:
    return SwarmWorld(tmp_path)


def _cluster(world: SwarmWorld) -> str:
    member = world.record("m1").swarm
    assert member is not None
    return member.cluster


def _pause(seconds: float) -> None:
    threading.Event().wait(min(seconds, 0.01))


def _drained(name: str) -> Callable[[Services], object]:
    def work(tools: Services) -> None:
        with swarm.drained(name, tools):
            pass

    return work


TAKING: dict[str, Callable[[Services], object]] = {
    "drain": _drained("m2"),
    "leave": lambda tools: swarm.leave("m2", tools),
    "demote": lambda tools: swarm.change("m2", tools, role="worker"),
    "adjust": lambda tools: swarm.adjust("m2", WORKER, tools),
    "promote": lambda tools: swarm.change("w1", tools, role="manager"),
    "join": lambda tools: swarm.join("x", MANAGER, tools, via=["m1"]),
    "restart": lambda tools: swarm.restart_node("m2", tools, drain=False),
    "stop": lambda tools: swarm.stop_node("m2", tools),
    "kill": lambda tools: swarm.kill_node("m2", tools),
    "upgrade": lambda tools: swarm.upgrade_node("m2", tools, drain=False),
    "provision": lambda tools: swarm.provision_node("m2", tools, drain=False),
}


@pytest.mark.parametrize("verb", TAKING)
def test_what_takes_a_manager_away_waits_for_the_other_process(world: SwarmWorld, verb: str) -> None:
    world.swarm(3, 1)
    world.machines("x")
    with world.store.lease(lease_name(_cluster(world)), "restart of manager m1"):
        before = world.record("m2"), world.record("w1").swarm, world.record("x").swarm
        with pytest.raises(LeaseHeld) as held:
            TAKING[verb](world.tools)
        assert (world.record("m2"), world.record("w1").swarm, world.record("x").swarm) == before
    assert held.value.lease == lease_name(_cluster(world))
    assert held.value.hint is not None


@pytest.mark.parametrize(
    "work",
    [
        _drained("w1"),
        lambda tools: swarm.change("m2", tools, availability="pause"),
        lambda tools: swarm.label("m2", tools, put={"tier": "web"}),
        lambda tools: swarm.leave("w1", tools),
        lambda tools: swarm.join("x", WORKER, tools, via=["m1"]),
    ],
)
def test_workers_and_labels_wait_for_nobody(world: SwarmWorld, work: Callable[[Services], object]) -> None:
    world.swarm(3, 1)
    world.machines("x")
    with world.store.lease(lease_name(_cluster(world)), "restart of manager m1"):
        work(world.tools)


def test_the_second_goes_on_when_the_first_is_through(world: SwarmWorld) -> None:
    world.swarm(3)
    with ExitStack() as held:
        held.enter_context(world.store.lease(lease_name(_cluster(world)), "restart of manager m1"))

        def sleep(seconds: float) -> None:
            world.tools.clock.sleep(seconds)
            held.close()

        _drained("m2")(replace(world.tools, clock=Clock(world.clock.now, sleep)))


def test_the_quorum_is_counted_after_the_wait(world: SwarmWorld) -> None:
    world.swarm(3)
    with ExitStack() as held:
        held.enter_context(world.store.lease(lease_name(_cluster(world)), "restart of manager m1"))

        def sleep(seconds: float) -> None:
            world.cut("m1")  # it did not come back
            held.close()

        with pytest.raises(CheckFailed):
            _drained("m2")(replace(world.tools, clock=Clock(world.clock.now, sleep)))


def test_an_apply_that_is_to_stop_waits_no_longer(world: SwarmWorld) -> None:
    world.swarm(3)

    class StopsAsItWaits(Stoppable):
        @override
        def notice(self, machine: str, message: str) -> None:
            self.stop()

    began = world.tools.now()
    with world.store.lease(lease_name(_cluster(world)), "restart of manager m1"), pytest.raises(Interrupted):
        _drained("m2")(replace(world.tools, reporter=StopsAsItWaits(world.tools.reporter)))
    assert world.tools.now() - began < PATIENCE


def test_two_stores_of_one_folder_never_have_two_managers_away(world: SwarmWorld, tmp_path: Path) -> None:
    world.store = SqliteStore.open(tmp_path / "shared")  # type: ignore[assignment]
    world.swarm(3)
    away: list[str] = []
    most = 0
    lock = threading.Lock()

    def work(name: str, tools: Services) -> None:
        nonlocal most
        with swarm.drained(name, tools):
            with lock:
                away.append(name)
                most = max(most, len(away))
            threading.Event().wait(0.05)
            with lock:
                away.remove(name)

    stores = [SqliteStore.open(world.store.folder) for _ in range(3)]
    threads = [
        threading.Thread(target=work, args=(name, replace(world.tools, store=store, clock=Clock(sleep=_pause))))
        for name, store in zip(("m1", "m2", "m3"), stores, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    for store in stores:
        store.close()
    assert most == 1
