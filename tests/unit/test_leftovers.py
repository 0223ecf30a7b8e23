"""What a cloud still bills for machines that no store knows: found, shown, and removed only when told to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.create import create
from pymachine.driver import Driver, Leftover, Search
from pymachine.errors import CheckFailed, DriverError, NotSupported, SeveralFailed
from pymachine.leftovers import discard, leftovers
from pymachine.model import Machine, State
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_asker import FakeAsker
from pymachine.testing.fake_driver import FakeOptions
from pymachine.testing.mobile_cloud import MobileCloud
from unit.clouds import CloudWorld

Run = Callable[..., int]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def world(tmp_path: Path) -> CloudWorld:
    return CloudWorld(tmp_path / "cloud")


def forgotten(cloud: MobileCloud, host: str, owner: str) -> None:
    """Have the cloud hold a host that a store made and does not know any more."""
    cloud.set_state(host, State.RUNNING)
    cloud.marks(host, owner)


def found(world: CloudWorld, driver: str = "fake") -> Sequence[Leftover]:
    return leftovers(driver, FakeOptions(), world.tools)


class TestFinding:
    def test_a_machine_on_record_is_no_leftover(self, world: CloudWorld) -> None:
        create(world.order(), world.tools)
        assert found(world) == []

    def test_a_host_without_a_record_is_one(self, world: CloudWorld) -> None:
        forgotten(world.moving, "lost", world.store.identity)
        forgotten(world.moving, "a colleague's", "another store")
        assert [(leftover.id, leftover.ours) for leftover in found(world)] == [
            ("lost", True),
            ("a colleague's", False),
        ]

    def test_one_that_was_adopted_is_none_any_more(self, world: CloudWorld) -> None:
        forgotten(world.moving, "lost", world.store.identity)
        world.moving.move("lost")
        create(replace(world.order(), adopted="lost"), world.tools)
        assert found(world) == []

    def test_the_driver_is_told_which_machines_there_are(self, world: CloudWorld) -> None:
        searches: list[Search] = []
        made = create(world.order(), world.tools)
        begun = world.store.put(Machine("node2", "id2", "fake"))
        _listen(world, searches.append)
        found(world)
        (search,) = searches
        assert search.known == {made.id: made.handle, begun.id: {}}
        assert (search.owner, search.options) == (world.store.identity, FakeOptions())

    def test_machines_by_another_name_of_the_driver_are_known_too(self, world: CloudWorld) -> None:
        kind = world.moving.driver()
        world.loader = lambda name: kind
        create(world.order(driver="other"), world.tools)
        assert found(world) == []

    def test_a_machine_that_is_begun_meanwhile_is_no_leftover(self, world: CloudWorld) -> None:
        searches: list[Search] = []

        def look(search: Search) -> None:
            if not searches:
                world.store.put(Machine("node2", "new", "fake"))
                forgotten(world.moving, "new", world.store.identity)
            searches.append(search)

        _listen(world, look)
        assert (found(world), len(searches)) == ([], 2)

    def test_a_driver_that_keeps_nothing_says_so(self, world: CloudWorld) -> None:
        world.cloud.lacking = {"discard"}
        with pytest.raises(NotSupported, match="driver fake"):
            found(world)


class TestDiscarding:
    def test_tries_all_and_says_which_stayed(self, world: CloudWorld) -> None:
        for host in ("a", "b", "c"):
            forgotten(world.moving, host, world.store.identity)
        world.cloud.fail("discard", DriverError("still in use"))
        gone: list[str] = []
        with pytest.raises(SeveralFailed) as caught:
            discard("fake", found(world), world.tools, lambda leftover: gone.append(leftover.id))
        assert (list(caught.value.failures), gone) == (["instance a"], ["b", "c"])
        assert list(world.cloud.hosts()) == ["a"]


class TestCommand:
    @pytest.fixture
    def cloud(self) -> MobileCloud:
        return MobileCloud()

    @pytest.fixture
    def asker(self) -> FakeAsker:
        return FakeAsker(yes=True)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "store"

    @pytest.fixture
    def owner(self, folder: Path) -> str:
        with SqliteStore.open(folder) as store:
            return store.identity

    @pytest.fixture
    def run(self, cloud: MobileCloud, asker: FakeAsker, folder: Path) -> Run:
        kind = cloud.driver()
        wiring = Wiring(asker=asker, load_driver=lambda _: kind, driver_names=lambda: ["fake"])
        return lambda *words: main(["-s", str(folder), "gc", *words], wiring=wiring)

    @pytest.fixture
    def lost(self, cloud: MobileCloud, owner: str) -> None:
        forgotten(cloud, "lost", owner)
        forgotten(cloud, "colleague", "another store")

    @pytest.mark.usefixtures("lost")
    def test_lists_ours_and_removes_nothing(self, run: Run, cloud: MobileCloud, capsys: Capture) -> None:
        assert run("-d", "fake") == 0
        told = capsys.readouterr()
        assert [line.split() for line in told.out.splitlines()] == [
            ["KIND", "ID", "NAME", "PLACE", "CREATED", "DETAIL"],
            ["instance", "lost", "lost", "east", "-", "-"],
            ["run", "the", "command", "again", "with", "--remove", "to", "remove", "it"],
        ]
        assert told.err.startswith("note: 1 more ")
        assert "--any-store" in told.err
        assert len(cloud.hosts()) == 2

    @pytest.mark.usefixtures("lost")
    def test_tells_whose_they_are_where_all_are_asked_for(self, run: Run, capsys: Capture) -> None:
        assert run("-d", "fake", "--any-store") == 0
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert [(line[1], line[-1]) for line in lines[:3]] == [
            ("ID", "STORE"), ("lost", "ours"), ("colleague", "another"),
        ]  # fmt: skip

    def test_says_that_there_is_nothing(self, run: Run, capsys: Capture) -> None:
        assert run("-d", "fake") == 0
        assert capsys.readouterr().out == "there are no leftovers\n"

    @pytest.mark.usefixtures("lost")
    def test_removes_ours_after_a_yes(self, run: Run, cloud: MobileCloud, asker: FakeAsker, capsys: Capture) -> None:
        assert run("-d", "fake", "--remove") == 0
        assert list(cloud.hosts()) == ["colleague"]
        assert "instance lost (lost) in east" in asker.asked[0]
        assert capsys.readouterr().out == "instance lost (lost) in east is removed\n"

    @pytest.mark.usefixtures("lost")
    def test_removes_nothing_after_a_no(self, cloud: MobileCloud, folder: Path, capsys: Capture) -> None:
        kind = cloud.driver()
        wiring = Wiring(asker=FakeAsker(), load_driver=lambda _: kind)
        assert main(["-s", str(folder), "gc", "-d", "fake", "--remove"], wiring=wiring) == 0
        assert (len(cloud.hosts()), capsys.readouterr().out) == (2, "")

    @pytest.mark.usefixtures("lost")
    def test_removes_without_a_question(self, run: Run, cloud: MobileCloud, asker: FakeAsker) -> None:
        assert run("-d", "fake", "--remove", "-y", "--any-store") == 0
        assert (cloud.hosts(), asker.asked) == ({}, [])

    @pytest.mark.usefixtures("lost")
    def test_does_not_remove_what_found_a_machine_while_the_question_stood(
        self, run: Run, cloud: MobileCloud, folder: Path, asker: FakeAsker
    ) -> None:
        def adopted_meanwhile(question: str, *, instead: str) -> bool:
            with SqliteStore.open(folder) as store:
                store.put(Machine("node1", "lost", "fake"))
            return True

        asker.confirm = adopted_meanwhile  # type: ignore[method-assign]
        assert run("-d", "fake", "--remove") == 0
        assert len(cloud.hosts()) == 2

    @pytest.mark.usefixtures("lost")
    def test_a_failure_is_told_with_what_it_was(self, run: Run, cloud: MobileCloud, capsys: Capture) -> None:
        cloud.fail("discard", DriverError("still in use", hint="try again in a minute"))
        assert run("-d", "fake", "--remove", "-y") == 5
        assert capsys.readouterr().err.splitlines()[-2:] == [
            "error: instance lost: still in use", "hint: try again in a minute",
        ]  # fmt: skip

    @pytest.mark.usefixtures("lost")
    def test_a_record_that_cannot_be_read_stops_the_removal(
        self, run: Run, cloud: MobileCloud, folder: Path, capsys: Capture
    ) -> None:
        with SqliteStore.open(folder) as store:
            store.put(Machine("node1", "id1", "fake"))
        with closing(sqlite3.connect(folder / "state.db")) as database, database:
            database.execute("UPDATE machine SET document = '{'")
        assert run("-d", "fake") == 0
        assert "record of node1 " in capsys.readouterr().err
        assert run("-d", "fake", "--remove", "-y") == CheckFailed.exit_code
        assert len(cloud.hosts()) == 2

    @pytest.mark.usefixtures("lost")
    def test_speaks_json(self, run: Run, capsys: Capture) -> None:
        assert run("-d", "fake", "--json") == 0
        (listed,) = json.loads(capsys.readouterr().out)
        assert listed == {
            "schema_version": 1,
            "kind": "instance", "id": "lost", "name": "lost", "place": "east", "created": "", "detail": "",
            "ours": True,
        }  # fmt: skip
        assert run("-d", "fake", "--json", "--remove", "-y") == 0
        assert json.loads(capsys.readouterr().out) == [listed]

    def test_takes_the_drivers_options(self, run: Run, capsys: Capture) -> None:
        assert run("-d", "fake", "--fake-zone", "west") == 0
        assert run("-d", "fake", "--help") == 0
        told = capsys.readouterr().out
        assert "--fake-zone" in told
        assert "--engine-install" not in told

    def test_needs_a_driver(self, run: Run, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MACHINE_DRIVER", raising=False)
        assert run() == 2
        assert "driver" in capsys.readouterr().err


def _listen(world: CloudWorld, tell: Callable[[Search], None]) -> None:
    """Have somebody hear each search before the cloud does."""
    kind: type[Driver] = world.moving.driver()

    class Listening(kind):  # type: ignore[misc, valid-type]
        def leftovers(self, search: Search) -> Sequence[Leftover]:
            tell(search)
            return super().leftovers(search)  # type: ignore[no-any-return]

    world.loader = lambda name: Listening
