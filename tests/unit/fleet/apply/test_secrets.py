"""Secrets of an inventory: read where they are compared or applied, not where machines only go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pymachine.fleet.apply.fleet import FleetWork
from pymachine.fleet.apply.scheduler import Bounds, Quiet
from pymachine.fleet.inventory import InventoryFaults
from pymachine.fleet.inventory.errors import InventoryFault
from pymachine.fleet.inventory.model import Fleet, Spot
from pymachine.fleet.plan import ActionKind
from pymachine.model import EngineSpec
from unit.fleets import fleet, kinds, stack
from unit.fleetworld import FleetWorld, calls_of, machine


@dataclass
class Shop:
    """Two machines and a stack on one of them, with a secret in all. ``asked`` counts who wanted to know it."""

    folder: Path
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = FleetWorld(self.folder / "store")
        (self.folder / "shop.yaml").write_text("services: {web: {image: 'busybox:${TOKEN}'}}\n")

    def fleet(self, token: str = "") -> Fleet:
        """Return the fleet with this secret, by default as it is before its secrets are read."""
        engine = EngineSpec(env=(f"TOKEN={token}",))
        files = (str(self.folder / "shop.yaml"),)
        shop = replace(stack("shop", on="db-1"), files=files, environment={"TOKEN": token})
        return fleet(machine(1, "db-1", engine=engine), machine(2, "db-2", engine=engine), stacks=(shop,))

    def revealed(self) -> Fleet:
        """Return the fleet with its secrets."""
        self.asked.append("token")
        return self.fleet("hunter2")

    def work(self, reveal: Callable[[], Fleet]) -> FleetWork:
        """Return a command at work on it."""
        return FleetWork(self.fleet(), self.world.tools, self.world.computer, reveal)


def locked() -> Fleet:
    raise InventoryFaults([InventoryFault(Spot("f.yaml", 1, 1), "token: no such file")])


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A fleet that is as its inventory says."""
    shop = Shop(tmp_path)
    with shop.work(shop.revealed) as work:
        assert not work.apply(work.plan(), Bounds(), Quiet()).unfinished
    shop.asked.clear()
    return shop


def test_secrets_are_read_once_for_every_plan_of_a_command(shop: Shop) -> None:
    with shop.work(shop.revealed) as work:
        assert shop.asked == []
        assert work.plan().changes_nothing
        assert work.plan().changes_nothing
    assert shop.asked == ["token"]


def test_what_is_applied_has_its_secrets(shop: Shop) -> None:
    assert shop.world.store.get("db-1").engine.env == ("TOKEN=hunter2",)
    assert shop.world.programs.variables == ['TOKEN="hunter2"\n']
    assert "hunter2" not in str(shop.world.programs.calls)


def test_a_secret_that_cannot_be_read_stops_a_plan_before_any_host_is_looked_at(shop: Shop) -> None:
    shop.world.connections.clear()
    with shop.work(locked) as work, pytest.raises(InventoryFaults, match="token: "):
        work.plan()
    assert calls_of(shop.world) == []


def test_what_goes_goes_without_secrets(shop: Shop) -> None:
    with shop.work(locked) as work:
        made = work.plan_removal(frozenset({"db-1", "db-2"}))
        assert kinds(made) == {
            "db-1": [ActionKind.REMOVE],
            "db-2": [ActionKind.REMOVE],
            "stack shop": [ActionKind.WITHDRAW],
        }
        assert not work.apply(made, Bounds(), Quiet()).unfinished
    assert shop.world.store.records() == []


def test_what_stays_is_not_taken_for_changed_without_its_secrets(shop: Shop) -> None:
    with shop.work(locked) as work:
        assert kinds(work.plan_removal(frozenset({"db-2"}))) == {"db-2": [ActionKind.REMOVE]}
