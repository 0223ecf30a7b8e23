"""A verb that dies at any call of an engine, and is given again: it converges, and nothing is doubled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pymachine.fleet.inventory.model import SwarmSpec
from pymachine.model import Endpoint
from pymachine.steps.services import Services
from pymachine.swarm import change, init, join, leave, status
from pymachine.swarm.control import UNLOCK_KEY
from pymachine.swarm_api.protocol import ClusterEngine
from unit.swarming import MANAGER, WORKER, Died, SwarmWorld


class Mortal:
    """An engine whose caller dies at a given call: before it is made, or when it is done."""

    def __init__(self, engine: ClusterEngine, life: list[int], *, after: bool) -> None:
        self._engine = engine
        self._life = life
        self._after = after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*words: Any, **options: Any) -> Any:
            self._life[0] -= 1
            if self._life[0] == 0 and not self._after:
                raise Died
            answer = getattr(self._engine, name)(*words, **options)
            if self._life[0] == 0:
                raise Died
            return answer

        return call

    def __enter__(self) -> Mortal:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()


def mortal(world: SwarmWorld, calls: int, *, after: bool) -> Services:
    """The tools of a process that dies at that call."""
    life = [calls]

    def connect(endpoint: Endpoint, folder: Path | None, *, deadline: float) -> Any:
        return Mortal(world.clusters.connect(endpoint, folder, deadline=deadline), life, after=after)

    return replace(world.tools, connect_cluster=connect)


def found(world: SwarmWorld, tools: Services) -> None:
    init("m1", SwarmSpec(autolock=True), MANAGER, tools, peers=["m2"])


def enter(world: SwarmWorld, tools: Services) -> None:
    join("m2", MANAGER, tools, via=["m1"])


def work(world: SwarmWorld, tools: Services) -> None:
    join("w1", WORKER, tools, via=["m1"])


def go(world: SwarmWorld, tools: Services) -> None:
    leave("m3", tools)


def rise(world: SwarmWorld, tools: Services) -> None:
    change("w1", tools, role="manager")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("verb", "before", "managers", "nodes"),
    [
        (found, [], 1, 1),
        (enter, [found], 2, 2),
        (work, [found], 1, 2),
        (rise, [found, work], 2, 2),
    ],
)
def test_the_same_verb_converges_wherever_it_died(
    tmp_path: Path,
    verb: Callable[..., None],
    before: list[Callable[..., None]],
    managers: int,
    nodes: int,
    after: bool,
) -> None:
    for calls in range(1, 60):
        world = SwarmWorld(tmp_path / str(calls))
        world.machines("m1", "m2", "w1")
        for step in before:
            step(world, world.tools)
        try:
            verb(world, mortal(world, calls, after=after))
        except Died:
            verb(world, world.tools)
        else:
            assert calls > 4, "it never died"
            return
        view = status(world.tools)
        assert view.healthy, (calls, view)
        assert (view.quorum.managers, len(view.nodes)) == (managers, nodes), calls
        keys = {world.store.secrets(m.machine)[UNLOCK_KEY] for m in view.members if m.node.is_manager}
        assert len(keys) == 1, calls
        assert keys != {b""}, calls
    pytest.fail("it makes more calls than this test knows of")


@pytest.mark.parametrize("after", [False, True])
def test_leave_converges_wherever_it_died(tmp_path: Path, after: bool) -> None:
    for calls in range(1, 60):
        world = SwarmWorld(tmp_path / str(calls))
        world.swarm(3, autolock=True)
        try:
            go(world, mortal(world, calls, after=after))
        except Died:
            go(world, world.tools)
        else:
            assert calls > 8, "it never died"
            return
        view = status(world.tools)
        assert [member.machine for member in view.members] == ["m1", "m2"], calls
        assert world.record("m3").swarm is None
        with world.clusters.host(world.address("m3")) as host:
            assert host.state == "inactive", calls
    pytest.fail("it makes more calls than this test knows of")
