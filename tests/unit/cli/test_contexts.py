"""Contexts of the docker client on the command line, and how they follow machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pymachine.cli import main
from pymachine.cli.app import App
from pymachine.cli.dependencies import Wiring
from pymachine.cli.errors import follow_changes
from pymachine.model import Endpoint, Machine, Phase
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_contexts import FakeContexts

URL = "tcp://192.0.2.7:2375"
FILES = {"ca.pem": b"a", "cert.pem": b"c", "key.pem": b"k"}


@dataclass
class Computer:
    """A computer with a docker client and a store."""

    docker: FakeContexts
    folder: Path
    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    @property
    def wiring(self) -> Wiring:
        return Wiring(run=self.docker)

    def run(self, *words: str) -> int:
        """Run a command; its output is in ``out`` and ``err``."""
        code = main(["-s", str(self.folder), *words], wiring=self.wiring)
        self.out, self.err = self.capsys.readouterr()
        return code

    def create(self, name: str, *words: str) -> int:
        """Remember an engine that is there."""
        return self.run("create", "--progress", "none", "-d", "none", "--url", URL, *words, name)

    def change(self, name: str, secrets: dict[str, bytes] | None = None, **changes: object) -> None:
        """Change a record as a command does that ends then."""
        app = App(self.wiring)
        app.storage = str(self.folder)
        app.store.put(app.store.get(name).with_(**changes), secrets=secrets)
        follow_changes(app)
        app.close()
        self.out, self.err = self.capsys.readouterr()

    @property
    def hosts(self) -> dict[str, str]:
        return {name: context.host for name, context in self.docker.contexts.items()}


@pytest.fixture
def computer(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Computer:
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    return Computer(FakeContexts(), tmp_path / "store", capsys)


def test_create_makes_a_context_if_it_is_asked_to(computer: Computer) -> None:
    assert computer.create("db") == 0
    assert computer.docker.calls == []
    assert computer.create("web", "--context") == 0
    assert computer.hosts == {"web": URL}
    assert computer.out.splitlines()[-1].split() == ["docker", "--context", "web", "ps"]
    assert computer.create("three", "--context", "--json") == 0
    assert json.loads(computer.out)["name"] == "three"


@pytest.mark.parametrize("what", ["missing", "broken"])
def test_without_a_client_that_works_nothing_is_made(computer: Computer, what: str) -> None:
    computer.docker.installed, computer.docker.fault = what != "missing", "" if what == "missing" else "no such luck"
    assert computer.create("web", "--context") == (3 if what == "missing" else 1)
    assert what == "missing" or "no such luck" in computer.err
    computer.run("ls", "-q")
    assert computer.out == ""


def test_names_that_are_taken_leave_the_machine_and_say_so(computer: Computer) -> None:
    computer.create("a", "--context")
    computer.docker.contexts["web"] = computer.docker.contexts["pymachine-web"] = computer.docker.contexts[
        "pymachine-a"
    ]
    computer.docker.contexts["web"].metadata = {}
    assert computer.create("web", "--context") == 1
    assert "context sync web" in computer.err
    assert computer.run("url", "web") == 0


def test_sync_makes_all_contexts_and_removes_those_of_machines_that_are_gone(computer: Computer) -> None:
    for name in ("web", "a", "gone"):
        computer.create(name)
    with SqliteStore.open(computer.folder) as store:
        store.put(Machine("half", "9", "none"))
    assert computer.run("context", "sync") == 0
    assert computer.hosts == dict.fromkeys(("web", "pymachine-a", "gone"), URL)
    assert "half" in computer.err
    with SqliteStore.open(computer.folder) as store:
        store.remove("gone")  # as a command that was killed before it could follow
    assert computer.run("context", "sync", "--json") == 0
    results = {(each["machine"], each["context"], each["outcome"]) for each in json.loads(computer.out)}
    assert results == {("web", "web", "updated"), ("a", "pymachine-a", "updated"), ("", "gone", "removed")}


def test_sync_of_named_machines_leaves_the_others_alone(computer: Computer) -> None:
    computer.create("web")
    computer.create("db")
    assert computer.run("context", "sync", "db", "db") == 0
    assert computer.hosts == {"db": URL}
    assert computer.run("context", "sync", "db", "nosuch") == 4


def test_a_context_follows_the_certificates_and_the_address_of_its_machine(computer: Computer) -> None:
    computer.create("web", "--context")
    computer.change("web", FILES)
    assert computer.docker.contexts["web"].files == FILES
    computer.change("web", endpoint=Endpoint("192.0.2.8", 2376))
    assert computer.hosts == {"web": "tcp://192.0.2.8:2376"}
    before = len(computer.docker.calls)
    computer.change("web", labels={"rack": "7"})
    assert len(computer.docker.calls) == before
    assert computer.err == ""


def test_a_machine_without_a_context_starts_no_client(computer: Computer) -> None:
    computer.create("web", "--context")
    computer.create("db")
    before = len(computer.docker.calls)
    computer.change("db", FILES)
    computer.run("rm", "-y", "db")
    assert len(computer.docker.calls) == before


def test_a_context_that_cannot_be_updated_is_a_warning(computer: Computer) -> None:
    computer.create("web", "--context")
    computer.docker.installed = False
    computer.change("web", FILES)
    assert computer.err.startswith("warning: ")
    assert "web" in computer.err
    assert computer.run("rm", "-y", "web") == 0
    computer.docker.installed = True
    assert computer.run("context", "sync") == 0
    assert computer.hosts == {}


def test_the_context_goes_with_its_machine(computer: Computer) -> None:
    computer.create("web", "--context")
    assert computer.run("use", "web") == 0
    assert computer.run("rm", "-y", "web") == 0
    assert computer.hosts == {}
    assert "context web" in computer.err  # docker is back at its own
    computer.create("web")
    assert computer.hosts == {}


@pytest.mark.parametrize("words", [("use",), ("context", "use")], ids=" ".join)
def test_use_makes_the_context_the_default_of_the_client(computer: Computer, words: Sequence[str]) -> None:
    computer.create("a")
    assert computer.run(*words, "a") == 0
    assert computer.docker.default == "pymachine-a"
    assert computer.err == ""
    assert computer.run(*words, "nosuch") == 4


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_use_says_what_goes_before_it(computer: Computer, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    computer.create("web")
    monkeypatch.setenv(variable, "tcp://198.51.100.1:1" if variable == "DOCKER_HOST" else "other")
    assert computer.run("use", "web") == 0
    assert f"unset {variable}" in computer.err


def test_rm_of_contexts_leaves_the_machines(computer: Computer) -> None:
    for name in ("web", "db", "a"):
        computer.create(name, "--context")
    assert computer.run("context", "rm") == computer.run("context", "rm", "--all", "web") == 2
    assert computer.run("context", "rm", "web") == 0
    assert sorted(computer.hosts) == ["db", "pymachine-a"]
    assert computer.run("context", "rm", "--all", "--json") == 0
    assert [each["context"] for each in json.loads(computer.out)] == ["pymachine-a", "db"]
    assert computer.hosts == {}
    computer.run("ls", "-q")
    assert computer.out.split() == ["a", "db", "web"]
    computer.change("web", FILES)
    assert computer.hosts == {}


def test_a_damaged_record_keeps_the_contexts_of_machines_that_seem_gone(computer: Computer) -> None:
    computer.create("web", "--context")
    import sqlite3

    with sqlite3.connect(computer.folder / "state.db") as connection:
        connection.execute("UPDATE machine SET document = '{'")
    assert computer.run("context", "sync") == 0
    assert computer.hosts == {"web": URL}


def test_a_machine_that_is_not_ready_has_no_context(computer: Computer) -> None:
    computer.create("web")
    with SqliteStore.open(computer.folder) as store:
        store.put(store.get("web").with_(phase=Phase.REACHABLE))
    assert computer.run("context", "sync", "web") == 1
    assert computer.hosts == {}
