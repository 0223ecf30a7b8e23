"""The folders of machines that callers of docker-machine read, beside those of docker-machine itself."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from pymachine.docker_machine import VIEW_NOTE
from pymachine.docker_machine.runner_view import MARK, RunnerView, enable, is_on, remove
from pymachine.errors import CheckFailed
from pymachine.model import Endpoint, Machine, Phase
from pymachine.override import override
from pymachine.store import Broken
from pymachine.store.sqlite import SqliteStore

FILES = {"ca.pem": b"a", "cert.pem": b"c", "key.pem": b"k"}


def machine(name: str = "web", host: str = "192.0.2.7") -> Machine:
    return Machine(name, f"id-{name}", "ssh", Phase.READY, endpoint=Endpoint(host))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def view(store: SqliteStore) -> RunnerView:
    """The view of a store that is on."""
    enable(store)
    observer = RunnerView(store)
    store.observe(observer)
    return observer


def listed(store: SqliteStore) -> list[str]:
    """The machines that a caller sees: the folders without a dot in front."""
    folder = store.folder / "machines"
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.exists() else []


def hidden(store: SqliteStore) -> list[str]:
    folder = store.folder / "machines"
    return sorted(path.name for path in folder.iterdir() if path.name[0] == ".")


def config(store: SqliteStore, name: str = "web") -> dict[str, object]:
    found: dict[str, object] = json.loads((store.folder / "machines" / name / "config.json").read_text())
    return found


def theirs(store: SqliteStore, name: str) -> Path:
    """A folder that docker-machine made."""
    folder = store.folder / "machines" / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"ConfigVersion": 3}')
    (folder / "id_rsa").write_text("a key")
    return folder


def test_without_the_view_no_folder_is_made(store: SqliteStore) -> None:
    store.put(machine())
    assert not is_on(store)
    assert listed(store) == []


def test_the_view_shows_the_machines_that_there_are_and_follows_them(store: SqliteStore) -> None:
    saved = store.put(machine(), secrets=FILES)
    assert enable(store) == []
    assert is_on(store)
    assert listed(store) == ["web"]
    store.observe(RunnerView(store))
    store.put(saved.with_(endpoint=Endpoint("192.0.2.8", 2377)))
    document = config(store)
    assert document["Driver"]["IPAddress"] == "192.0.2.8"  # type: ignore[index]
    client = Path(document["HostOptions"]["AuthOptions"]["StorePath"])  # type: ignore[index]
    assert {file: (client / file).read_bytes() for file in FILES} == FILES
    store.remove("web")
    assert listed(store) == hidden(store) == []


def test_files_are_their_owners_alone(store: SqliteStore, view: RunnerView) -> None:
    former = os.umask(0)
    try:
        store.put(machine())
    finally:
        os.umask(former)
    folder = store.folder / "machines/web"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    assert modes == {"web": 0o700, "config.json": 0o600, MARK: 0o600}


def test_the_folder_is_there_before_the_record(store: SqliteStore, view: RunnerView) -> None:
    seen: list[tuple[list[str], bool]] = []

    class Witness(RunnerView):
        @override
        def adding(self, machine: Machine) -> None:
            seen.append((listed(store), store.find(machine.name) is None))

    store.observe(Witness(store))
    store.put(machine())
    assert seen == [(["web"], True)]


def test_a_record_that_changes_nothing_in_the_file_does_not_write_it(store: SqliteStore, view: RunnerView) -> None:
    saved = store.put(machine())
    before = (store.folder / "machines/web/config.json").stat().st_ino
    store.put(saved.with_(labels={"rack": "7"}))
    assert (store.folder / "machines/web/config.json").stat().st_ino == before


@pytest.mark.parametrize("content", ["", "{", "[" * 5000, "\0", '{"ConfigVersion": 3, "Driver": 7}'])
def test_the_file_is_never_read_back(store: SqliteStore, view: RunnerView, content: str) -> None:
    saved = store.put(machine())
    path = store.folder / "machines/web/config.json"
    path.write_text(content)
    store.put(saved.with_(endpoint=Endpoint("192.0.2.9")))
    assert config(store)["Driver"]["IPAddress"] == "192.0.2.9"  # type: ignore[index]


@pytest.mark.parametrize("name", ["web", "Web"])
def test_a_name_that_docker_machine_has_is_refused_and_its_folder_left_alone(
    store: SqliteStore, view: RunnerView, name: str
) -> None:
    folder = theirs(store, name)
    with pytest.raises(CheckFailed) as caught:
        store.put(machine())
    assert name in str(caught.value.hint)
    assert store.find("web") is None
    assert listed(store) == view.foreign() == [name]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "id_rsa"]


def test_the_view_is_not_begun_where_a_machine_has_the_name_of_one_of_docker_machines(store: SqliteStore) -> None:
    store.put(machine())
    theirs(store, "web")
    with pytest.raises(CheckFailed):
        enable(store)
    assert not is_on(store)


def test_other_folders_of_docker_machine_are_named_and_left_alone(store: SqliteStore) -> None:
    folder = theirs(store, "db")
    store.put(machine())
    assert enable(store) == ["db"]
    remove(store)
    assert listed(store) == ["db"]
    assert (folder / "id_rsa").read_text() == "a key"


def imported(store: SqliteStore, *, before: bool) -> Machine:
    """A machine that was imported from the folder of this very store, with the view on or not yet."""
    theirs(store, "web")
    if before:
        enable(store)
    store.observe(RunnerView(store))
    store.keep("imported:id-web", {"from": str(store.folder)})
    return store.put(machine())


def test_the_folder_of_an_imported_machine_is_moved_aside_and_comes_back(store: SqliteStore) -> None:
    imported(store, before=True)
    assert config(store)["Name"] == "web"
    assert hidden(store) == [".web.docker-machine"]
    store.remove("web")
    assert listed(store) == []
    remove(store)
    assert listed(store) == ["web"]
    assert config(store) == {"ConfigVersion": 3}


def test_an_import_from_elsewhere_gives_no_right_to_the_folder(
    store: SqliteStore, view: RunnerView, tmp_path: Path
) -> None:
    theirs(store, "web")
    store.keep("imported:id-web", {"from": str(tmp_path)})
    with pytest.raises(CheckFailed):
        store.put(machine())


def test_what_killed_commands_left_is_put_right(store: SqliteStore, view: RunnerView) -> None:
    store.put(machine("web"))
    view.adding(machine("ghost"))  # killed before its record
    folder = store.folder / "machines"
    (folder / "web").rename(folder / ".web.removed")  # killed after the folder went, before the record did
    (folder / ".db.draft123").mkdir()
    (folder / ".notes").mkdir()
    assert listed(store) == ["ghost"]
    view.refresh()
    assert listed(store) == ["web"]
    assert hidden(store) == [".notes"]


def test_the_folder_of_a_machine_that_is_being_made_is_left(store: SqliteStore, view: RunnerView) -> None:
    with store.lease("web", "create web"):
        view.adding(machine("web"))
        view.refresh()
        assert listed(store) == ["web"]
    view.refresh()
    assert listed(store) == []


def test_a_removal_that_comes_late_leaves_the_next_machine_of_the_name(store: SqliteStore, view: RunnerView) -> None:
    store.put(machine())
    view.removed("web", "id-of-another")
    assert listed(store) == ["web"]


def test_what_cannot_be_written_prevents_a_new_machine_and_is_a_fault_of_an_old_one(
    store: SqliteStore, view: RunnerView
) -> None:
    saved = store.put(machine("web"))
    folder = store.folder / "machines"
    (folder / "web/config.json").unlink()
    (folder / "web/config.json").mkdir()
    store.put(saved.with_(endpoint=Endpoint("192.0.2.9")))
    assert len(view.faults) == 1
    (folder / "web/config.json").rmdir()
    store.remove("web")
    folder.rmdir()
    folder.write_text("")
    with pytest.raises(CheckFailed):
        store.put(machine("db"))
    assert store.find("db") is None


@pytest.mark.parametrize("content", ["", "x" * 5000, "[]", '{"store": 7}', "\0"])
def test_a_mark_that_says_nothing_makes_no_folder_ours(store: SqliteStore, view: RunnerView, content: str) -> None:
    folder = theirs(store, "web")
    (folder / MARK).write_text(content)
    with pytest.raises(CheckFailed):
        store.put(machine())
    assert (folder / "id_rsa").exists()


def test_the_view_of_another_store_is_not_ours(store: SqliteStore, tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "other") as other:
        other.put(machine())
        enable(other)
        (store.folder / "machines").mkdir()
        (other.folder / "machines/web").rename(store.folder / "machines/web")
    assert enable(store) == ["web"]
    assert store.note(VIEW_NOTE)


def test_a_folder_that_cannot_be_listed_is_a_refusal_or_a_fault(store: SqliteStore, view: RunnerView) -> None:
    (store.folder / "machines").rmdir()
    (store.folder / "machines").symlink_to("machines")
    with pytest.raises(CheckFailed):
        store.put(machine())
    assert store.find("web") is None
    view.refresh()


class Late:
    """A store whose list is of a moment ago, when the machine was still there."""

    def __init__(self, store: SqliteStore, then: list[Machine | Broken]) -> None:
        self._store = store
        self._then = then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def records(self) -> list[Machine | Broken]:
        return self._then


def test_a_machine_that_another_process_removes_meanwhile_stays_away(store: SqliteStore, view: RunnerView) -> None:
    store.put(machine(), secrets=FILES)
    store.put(machine("db"), secrets=FILES)
    then = store.records()
    store.remove("web")
    assert listed(store) == ["db"]
    late = RunnerView(cast(SqliteStore, Late(store, then)))
    late.refresh()
    assert listed(store) == ["db"]
