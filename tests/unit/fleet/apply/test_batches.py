"""Workers whose engines restart at once: as many as were asked for, and never more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.cli.fleet_options import parse_batch
from pymachine.errors import UsageFault
from pymachine.fleet.inventory.model import Fleet
from pymachine.fleet.plan import ONE_BY_ONE, Batch
from pymachine.model import EngineSpec
from pymachine.override import override
from pymachine.testing.fake_cluster import FakeClusters
from pymachine.testing.fake_swarm import FakeState
from pymachine.testing.fake_transport import FakeTransport
from pymachine.transport import Result
from unit.fleets import fleet
from unit.fleetworld import FleetWorld, machine

PATIENCE = 30.0  # seconds; nobody waits so long unless the other never comes


class CountingClusters(FakeClusters):
    """Engines that know how many nodes were drained at most; every change of any of them passes here."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    @contextmanager
    @override
    def lend(self) -> Iterator[FakeState]:
        with super().lend() as state:
            yield state
            seats = [seat for swarm in state.swarms.values() for seat in swarm.seats.values()]
            self.most = max(self.most, sum(seat.node.availability == "drain" for seat in seats))


class MeetingWorld(FleetWorld):
    """Hosts whose set-up goes on only when ``together`` of them are at it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clusters = self.counting = CountingClusters()
        self.together: threading.Barrier | None = None

    @override
    def _set_up(self, transport: FakeTransport) -> Result:
        if self.together is not None:
            self.together.wait(PATIENCE)
        return super()._set_up(transport)


def four(*labels: str) -> Fleet:
    """A manager and four workers, whose engines have these labels."""
    engine = EngineSpec(labels=labels)
    return fleet(machine(1, "mgr", "manager"), *(machine(n, f"w{n}", "worker", engine=engine) for n in range(2, 6)))


def most_drained(folder: Path, batch: Batch, together: int) -> int:
    """Have the four restart; return how many were drained at once at most."""
    world = MeetingWorld(folder)
    assert not world.apply(four()).unfinished
    assert world.counting.most == 0
    world.together = threading.Barrier(together)
    account = world.apply(four("env=dev"), width=10, batch=batch)
    assert not account.unfinished, [(result.action.id, result.error) for result in account]
    assert "env=dev" in world.host_facts["192.0.2.5"]["daemon_json"]
    return world.counting.most


def test_two_workers_are_drained_at_once_and_no_third(tmp_path: Path) -> None:
    assert most_drained(tmp_path / "store", Batch(2), 2) == 2


def test_as_many_as_the_percentage_says_are_drained_at_once(tmp_path: Path) -> None:
    assert most_drained(tmp_path / "store", Batch(100, percent=True), 4) == 4


def test_one_worker_is_drained_at_once_unless_more_are_asked_for(tmp_path: Path) -> None:
    assert most_drained(tmp_path / "store", ONE_BY_ONE, 1) == 1


@pytest.mark.parametrize(
    ("text", "batch"),
    [("1", Batch(1)), ("12", Batch(12)), ("25%", Batch(25, percent=True)), ("100%", Batch(100, percent=True))],
)
def test_a_batch_is_a_number_or_a_percentage(text: str, batch: Batch) -> None:
    assert parse_batch(text) == batch


@pytest.mark.parametrize("text", ["", "0", "00", "0%", "-1", "-5%", "+2", "1.5", "%", "101%", "2%5", "2 %", "two"])
def test_what_is_no_batch_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match=r"^--batch "):
        parse_batch(text)


INVENTORY = """
fleet: shop
defaults: {driver: fake, engine: {labels: [env=prod]}}
machines:
  - {name: mgr, swarm: manager, fake: {address: 192.0.2.1}}
  - {name: "w{2..5}", swarm: worker, fake: {address: "192.0.2.{2..5}"}}
"""


def command(world: MeetingWorld, folder: Path, *words: str) -> int:
    """Give pymachine these words, with a store and this inventory in the folder."""
    wiring = Wiring(
        reporter=world.reporter, connect=world.tools.connect, ask_engine=world.engine.ask,
        load_driver=world.tools.load_driver, driver_names=lambda: ["fake"], now=world.clock.now,
        clock=world.tools.clock, connect_cluster=world.clusters.connect,
    )  # fmt: skip
    return main(["-s", str(folder / "store"), words[0], "-f", str(folder / "f.yaml"), *words[1:]], wiring=wiring)


@pytest.mark.parametrize(
    ("words", "together"),
    [
        (("--limit", "w2,w4"), 1),
        (("--batch", "2"), 2),
        (("--batch", "50%"), 2),
        (("--batch", "50%", "--limit", "w2,w3"), 1),
    ],
    ids=["default", "number", "percentage", "percentage of few"],
)
def test_the_command_drains_as_many_at_once_as_it_is_told(
    tmp_path: Path, words: tuple[str, ...], together: int
) -> None:
    world = MeetingWorld(tmp_path / "world")
    (tmp_path / "f.yaml").write_text(INVENTORY)
    assert command(world, tmp_path, "apply", "-y") == 0
    (tmp_path / "f.yaml").write_text(INVENTORY.replace("prod", "dev"))
    assert command(world, tmp_path, "apply", "-y", "--limit", "mgr") == 0
    world.counting.most = 0
    world.together = threading.Barrier(together)
    assert command(world, tmp_path, "apply", "-y", *words) == 0
    assert world.counting.most == together
