"""What is noted of a fleet, where it cannot be read: that is said, and is not taken for nothing."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pymachine.errors import NoteUnreadable
from pymachine.fleet.apply.fleet import FleetWork
from pymachine.fleet.apply.state import failed_of, memory_of, note_name, note_stack
from pymachine.fleet.apply.status import MachineStatusRow, Overview, overview
from pymachine.fleet.inventory.model import Fleet
from pymachine.fleet.plan import ActionKind, Deployed
from pymachine.model import State
from pymachine.store.sqlite import SqliteStore
from unit.fleets import fleet, stack
from unit.fleetworld import FleetWorld, machine

WRONG: list[dict[str, Any]] = [
    {"stacks": 5},
    {"stacks": {"shop": 5}},
    {"failed": {}},
    {"stacks": {"shop": {"on": ""}}},
]


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> FleetWorld:
    return FleetWorld(tmp_path / "store")


@pytest.fixture(name="wanted")
def _wanted(tmp_path: Path) -> Fleet:
    file = tmp_path / "compose.yaml"
    file.write_text("services:\n  web:\n    image: web\n")
    return fleet(machine(1, "mgr", "manager"), stacks=(replace(stack("shop"), files=(str(file),)),))


@pytest.mark.parametrize("document", WRONG)
def test_a_note_that_cannot_be_read_is_said_and_begins_again(
    world: FleetWorld, wanted: Fleet, document: dict[str, Any]
) -> None:
    world.apply(wanted)
    world.store.keep(note_name("shop"), document)
    made = world.plan(wanted)
    assert memory_of("shop", world.store).unreadable in " ".join(made.notes)
    (action,) = made.actions
    assert action.kind is ActionKind.DEPLOY
    assert "known" in action.reasons[0]
    with pytest.raises(NoteUnreadable):
        failed_of("shop", world.store)
    found = overview(wanted, ["mgr"], world.tools, 5.0)
    assert found.notes
    assert not found.complete
    world.apply(wanted)
    assert (failed_of("shop", world.store), set(memory_of("shop", world.store).stacks)) == ((), {"shop"})
    assert world.plan(wanted).changes_nothing
    found = overview(wanted, ["mgr"], world.tools, 5.0)
    assert found.complete
    assert not found.notes


def test_a_swarm_that_cannot_be_asked_is_no_success(world: FleetWorld, wanted: Fleet) -> None:
    world.apply(wanted)
    world.cut("mgr")
    found = overview(wanted, ["mgr", "shop"], world.tools, 5.0)
    assert [(row.name, row.known) for row in found.services] == [("shop", False)]
    assert not found.complete


@pytest.mark.parametrize("state", State)
def test_a_machine_that_could_not_be_asked_is_no_success(state: State) -> None:
    asked = state not in (State.ERROR, State.TIMEOUT, State.UNKNOWN)
    assert Overview((MachineStatusRow("node1", "fake", state),)).complete is asked


def test_what_destroy_does_not_know_of_is_said(world: FleetWorld, wanted: Fleet) -> None:
    world.apply(wanted)
    world.store.keep(note_name("shop"), {"stacks": 5})
    with FleetWork(wanted, world.tools, world.computer) as work:
        assert work.plan_removal(frozenset({"mgr"})).notes


def test_an_apply_with_nothing_to_do_begins_it_again(world: FleetWorld) -> None:
    wanted = fleet(machine(1, "mgr", "manager"))
    world.apply(wanted)
    world.store.keep(note_name("shop"), {"stacks": 5})
    with FleetWork(wanted, world.tools, world.computer) as work:
        assert not work.plan().chains
        work.renew_note()
    assert not memory_of("shop", world.store).unreadable


def test_one_piece_of_news_begins_it_again(world: FleetWorld) -> None:
    world.store.keep(note_name("shop"), {"failed": 5})
    note_stack("shop", world.store, "web", Deployed("digest"))
    assert memory_of("shop", world.store).stacks == {"web": Deployed("digest")}


@pytest.mark.parametrize("text", ["{", "[]", "5", "", b"\xff\xfe", None])
def test_what_a_store_cannot_read_is_an_error_and_not_nothing(tmp_path: Path, text: object) -> None:
    with SqliteStore.open(tmp_path / "store") as store:
        store.keep("fleet:shop", {"stacks": {}, "failed": ["web"]})
    with sqlite3.connect(tmp_path / "store" / "state.db") as connection:
        try:
            connection.execute("UPDATE note SET document = ?", (text,))
        except sqlite3.IntegrityError:
            return  # the table itself refuses it
    with SqliteStore.open(tmp_path / "store") as store:
        with pytest.raises(NoteUnreadable, match="fleet shop"):
            store.note("fleet:shop")
        store.keep("fleet:shop", {"failed": ["db"]})
        assert store.note("fleet:shop") == {"failed": ["db"]}
