"""Services and containers that are more or fewer than their files say, and a Swarm that is silent for a while."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from pymachine.errors import QuorumLost
from pymachine.fleet.apply.drift import drift
from pymachine.fleet.apply.scheduler import Outcome
from pymachine.fleet.apply.survey import records_of
from pymachine.fleet.inventory.model import Fleet
from pymachine.model import Endpoint
from pymachine.swarm_api.services import Replicas, Service
from pymachine.testing.fake_cluster import FakeClusters, FakeEngine
from unit.fleetworld import FleetWorld
from unit.swarm_api.test_services import TRIO, local, shop, world
from unit.world import FakeClock

__all__ = ["local", "shop", "world"]  # fixtures


@pytest.mark.parametrize(
    ("name", "count", "asked"),
    [
        ("shop_web", 5, Replicas(3, 3)),
        ("shop_web", 0, Replicas(3, 3)),
        ("shop_db", 0, Replicas()),
        ("shop_db", 4, None),
    ],
)
def test_a_service_that_somebody_scaled_is_seen(
    world: FleetWorld, shop: Fleet, name: str, count: int, asked: Replicas | None
) -> None:
    assert not world.apply(shop).unfinished
    with world.clusters.lend() as state:
        services = next(iter(state.swarms.values())).services
        services[name] = replace(services[name], wanted=count, running=count)
    reason = replace(services[name], asked=asked).in_words() if asked else ""  # of the other its files say nothing
    assert ("scaled" in reason) is bool(asked)
    made = world.plan(shop)
    assert [action.reasons for action in made.actions] == ([(f"{name}: {reason}",)] if reason else [])
    assert world.work is not None
    found = drift(shop, records_of(world.tools), world.work.known, made, {})
    assert [one.detail for one in found] == ([f"{name}: {reason}"] if reason else [])
    assert not world.apply(shop).unfinished
    assert world.plan(shop).changes_nothing


class LeaderlessClusters(FakeClusters):
    """Engines whose managers do not tell of services for ``silent`` seconds from the first question on."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.silent = 0.0
        self.end: float | None = None

    @override
    def connect(self, endpoint: Endpoint, folder: Path | None, *, deadline: float) -> LeaderlessEngine:
        super().connect(endpoint, folder, deadline=deadline).close()
        return LeaderlessEngine(self, endpoint.host)


class LeaderlessEngine(FakeEngine):
    """A connection to one of them."""

    def __init__(self, clusters: LeaderlessClusters, address: str) -> None:
        super().__init__(clusters, address)
        self._silence = clusters

    @override
    def services(self, stack: str = "") -> tuple[Service, ...]:
        clusters = self._silence
        if clusters.silent and clusters.end is None:
            clusters.end = clusters.clock.now() + clusters.silent
        if clusters.end is not None and clusters.clock.now() < clusters.end:
            raise QuorumLost("the Swarm chooses a leader")
        return super().services(stack)


@pytest.mark.parametrize(("silent", "fails"), [(20.0, False), (1000.0, True)])
def test_a_manager_that_does_not_answer_for_a_while_is_asked_again(
    world: FleetWorld, shop: Fleet, silent: float, fails: bool
) -> None:
    world.clusters = clusters = LeaderlessClusters(world.clock)
    world.apply(TRIO)
    clusters.silent = silent
    failed = world.apply(shop).having(Outcome.FAILED)
    assert clusters.end is not None
    assert [type(one.error) for one in failed] == ([QuorumLost] if fails else [])


def test_containers_that_are_too_few_are_seen(world: FleetWorld, local: Fleet) -> None:
    assert not world.apply(local).unfinished
    with world.clusters.host("192.0.2.2") as host:
        host.containers = tuple(one for one in host.containers if one.name != "shop-web-2")
    (action,) = world.plan(local).actions
    assert action.reasons == ("shop-web: 2 of 3 containers exist",)
    assert not world.apply(local).unfinished
    assert world.plan(local).changes_nothing
