"""Contexts of machines with a real docker client, and with the fake one that other tests use."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab.client import docker_cli
from pymachine import tls
from pymachine.docker_contexts.client import ContextClient, ContextMark, DockerContext, NoDockerClient
from pymachine.docker_contexts.context_notes import have_contexts
from pymachine.docker_contexts.machine_contexts import ContextChange, KeptContext, MachineContexts, possible_names
from pymachine.errors import CheckFailed, PymachineError
from pymachine.fleet.apply.subprocesses import RunProgram, run_program
from pymachine.model import Endpoint, Machine, Phase
from pymachine.store.client_files import CLIENT_FILES
from pymachine.testing.fake_contexts import FakeContexts
from pymachine.testing.memory_store import MemoryStore

NOW = datetime(2026, 12, 1, tzinfo=UTC)
FIRST = dict(tls.issue("web", ("192.0.2.7",), now=NOW).files)
SECOND = dict(tls.issue("web", ("192.0.2.8",), now=NOW).files)
NOT_OURS = "Somebody else's"


def clients(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {file: files[file] for file in CLIENT_FILES}


@dataclass
class Computer:
    """A computer with a docker client, real or not, and a store of machines."""

    run: RunProgram
    folder: Path
    store: MemoryStore
    environ: dict[str, str]

    @property
    def client(self) -> ContextClient:
        return ContextClient(self.run, self.environ)

    @property
    def contexts(self) -> MachineContexts:
        return MachineContexts(self.store, self.client)

    def machine(self, name: str, files: Mapping[str, bytes] = FIRST, host: str = "192.0.2.7") -> Machine:
        """Put a machine on record that is ready."""
        record = Machine(name, f"id-{name}", "fake", Phase.READY, endpoint=Endpoint(host))
        return self.store.put(record, secrets=files)

    def has(self, name: str) -> tuple[str, dict[str, bytes]]:
        """Return address and certificates of a context, as the client has them."""
        if isinstance(self.run, FakeContexts):
            context = self.run.contexts[name]
            return context.host, context.files
        path = self.folder / "exported.tar"
        path.unlink(missing_ok=True)
        self.docker("context", "export", name, str(path))
        padded = io.BytesIO(path.read_bytes() + bytes(tarfile.RECORDSIZE))  # the client leaves the end out
        with tarfile.open(fileobj=padded) as archive:
            content = {entry.name: archive.extractfile(entry) for entry in archive if entry.isfile()}
            found = {path.rpartition("/")[2]: stream.read() for path, stream in content.items() if stream}
        document = json.loads(found.pop("meta.json"))
        return document["Endpoints"]["docker"]["Host"], found

    def docker(self, *words: str) -> None:
        subprocess.run(["docker", *words], env=self.environ, check=True, capture_output=True, timeout=60)

    def others(self, name: str) -> None:
        """Make a context that is not ours."""
        self.client.add(DockerContext(name, "tcp://198.51.100.1:2376", None), NOT_OURS, clients(SECOND))


@pytest.fixture(params=["real", "fake"])
def computer(request: pytest.FixtureRequest, tmp_path: Path) -> Computer:
    store = MemoryStore(tmp_path / 'a, "store"')
    store.folder.mkdir()
    config = tmp_path / "config"
    config.mkdir()
    environ = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(config), "PATH": os.environ["PATH"]}
    if request.param == "fake":
        return Computer(FakeContexts(), tmp_path, store, environ)
    environ["PATH"] = f"{docker_cli().parent}:{environ['PATH']}"
    return Computer(run_program, tmp_path, store, environ)


def test_the_mark_is_kept_beside_the_description_and_through_updates(computer: Computer) -> None:
    context = DockerContext("web", "tcp://192.0.2.7:2376", ContextMark("store", "machine"))
    computer.client.add(context, "a description", clients(FIRST))
    computer.others("mine")
    assert computer.client.inspect(["web", "missing", "mine"]) == [
        context,
        DockerContext("mine", "tcp://198.51.100.1:2376", None),
    ]
    computer.client.update("web", "tcp://[2001:db8::1]:2376", None)
    assert computer.client.inspect(["web"])[0].mark == context.mark
    assert computer.has("web") == ("tcp://[2001:db8::1]:2376", {})
    assert sorted(computer.client.names()) == ["default", "mine", "web"]


def test_a_context_has_the_address_and_the_certificates_of_its_machine(computer: Computer) -> None:
    machine = computer.machine("web")
    assert computer.contexts.keep(machine) == KeptContext("web", "web", ContextChange.CREATED)
    assert computer.has("web") == ("tcp://192.0.2.7:2376", clients(FIRST))
    assert computer.contexts.machine_of(computer.client.inspect(["web"])[0]) == machine


def test_a_renewal_and_a_move_reach_the_context(computer: Computer) -> None:
    machine = computer.machine("web")
    computer.contexts.keep(machine)
    assert computer.contexts.refresh(machine) is None
    renewed = computer.store.put(machine, secrets=SECOND)
    assert computer.contexts.refresh(renewed) == KeptContext("web", "web", ContextChange.UPDATED)
    assert computer.has("web") == ("tcp://192.0.2.7:2376", clients(SECOND))
    moved = computer.store.put(renewed.with_(endpoint=Endpoint("192.0.2.8", 2377)))
    computer.contexts.refresh(moved)
    assert computer.has("web")[0] == "tcp://192.0.2.8:2377"
    assert computer.contexts.refresh(moved) is None


def test_an_engine_without_certificates_has_a_context_without_any(computer: Computer) -> None:
    computer.contexts.keep(computer.machine("web", {}))
    assert computer.has("web") == ("tcp://192.0.2.7:2376", {})
    computer.contexts.keep(computer.store.get("web"))
    assert computer.has("web") == ("tcp://192.0.2.7:2376", {})


@pytest.mark.parametrize("name", ["a", "default"])
def test_a_name_that_the_client_refuses_gets_another_one(computer: Computer, name: str) -> None:
    with pytest.raises(PymachineError):
        computer.client.add(DockerContext(name, "tcp://192.0.2.7:2376", None), "", {})
    assert computer.contexts.keep(computer.machine(name)).context == f"pymachine-{name}"
    assert computer.has(f"pymachine-{name}")[0] == "tcp://192.0.2.7:2376"


@pytest.mark.parametrize("name", ["Web", "0a", "web.example.com", "x" * 63, "a-b", "ab"])
def test_all_other_names_are_taken_as_they_are(computer: Computer, name: str) -> None:
    assert possible_names(name)[0] == name
    assert computer.contexts.keep(computer.machine(name)).context == name


def test_a_context_that_is_not_ours_is_not_touched(computer: Computer) -> None:
    computer.others("web")
    before = computer.has("web")
    machine = computer.machine("web")
    assert computer.contexts.keep(machine).context == "pymachine-web"
    assert [removed.context for removed in computer.contexts.forget(machine.id)] == ["pymachine-web"]
    computer.others("pymachine-web")
    with pytest.raises(CheckFailed):
        computer.contexts.keep(machine)
    assert not have_contexts(computer.store)
    assert computer.contexts.forget(machine.id) == computer.contexts.tidy() == []
    assert computer.has("web") == computer.has("pymachine-web") == before


def test_a_context_of_another_store_is_not_ours_even_for_a_machine_of_the_same_id(computer: Computer) -> None:
    mark = ContextMark("another store", "id-web")
    computer.client.add(DockerContext("web", "tcp://198.51.100.1:2376", mark), "", {})
    machine = computer.machine("web")
    assert computer.contexts.keep(machine).context == "pymachine-web"
    computer.contexts.forget(machine.id)
    computer.contexts.tidy()
    assert computer.has("web") == ("tcp://198.51.100.1:2376", {})


def test_a_context_is_found_again_under_the_name_that_its_user_gave_it(computer: Computer) -> None:
    machine = computer.machine("web")
    computer.contexts.keep(machine)
    (ours,) = computer.client.inspect(["web"])
    computer.client.remove("web")
    computer.client.add(DockerContext("renamed", ours.host, ours.mark), "", {})
    computer.store.put(machine, secrets=SECOND)
    assert computer.contexts.refresh(computer.store.get("web")) == KeptContext(
        "web", "renamed", ContextChange.UPDATED
    )
    assert computer.has("renamed")[1] == clients(SECOND)


def test_a_context_that_its_user_removed_stays_away_until_it_is_asked_for(computer: Computer) -> None:
    machine = computer.machine("web")
    computer.contexts.keep(machine)
    computer.client.remove("web")
    renewed = computer.store.put(machine, secrets=SECOND)
    assert computer.contexts.refresh(renewed) is None
    assert computer.client.names() == ["default"]
    assert computer.contexts.keep(renewed).outcome is ContextChange.CREATED


def test_removal_of_the_context_at_work_is_told(computer: Computer) -> None:
    machine, other = computer.machine("web"), computer.machine("db")
    for each in (machine, other):
        computer.contexts.keep(each)
    computer.client.use("web")
    assert computer.contexts.forget(other.id, "db") == [KeptContext("db", "db", ContextChange.REMOVED)]
    assert computer.contexts.forget(machine.id, "web") == [KeptContext("web", "web", ContextChange.REMOVED, True)]
    default = computer.client.default()
    assert default is not None
    assert default.name == "default"


def test_contexts_of_machines_that_are_gone_are_tidied_away(computer: Computer) -> None:
    for name in ("web", "db"):
        computer.contexts.keep(computer.machine(name))
    computer.others("mine")
    computer.store.remove("db")
    assert computer.contexts.tidy() == [KeptContext("", "db", ContextChange.REMOVED)]
    assert sorted(computer.client.names()) == ["default", "mine", "web"]
    assert computer.store.noted("context:") == ["context:id-web"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, "web"), ({"DOCKER_HOST": "tcp://198.51.100.1:1"}, "default"), ({"DOCKER_CONTEXT": "db"}, "db")],
    ids=["stored", "host", "context"],
)
def test_the_context_at_work_follows_the_environment(
    computer: Computer, environ: dict[str, str], expected: str
) -> None:
    for name in ("web", "db"):
        computer.contexts.keep(computer.machine(name))
    computer.client.use("web")
    computer.environ.update(environ)
    current, default = computer.client.current(), computer.client.default()
    assert current is not None
    assert default is not None
    assert (current.name, default.name) == (expected, "web")


def test_a_context_at_work_that_does_not_exist_is_none(computer: Computer) -> None:
    computer.environ["DOCKER_CONTEXT"] = "missing"
    assert computer.client.current() is None


def test_without_a_client_the_error_is_one_of_its_own(tmp_path: Path) -> None:
    bare = ContextClient(run_program, {"PATH": str(tmp_path)})
    with pytest.raises(NoDockerClient):
        bare.names()


def test_what_the_client_says_is_in_the_error(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 7\n")
    program.chmod(0o755)
    client = ContextClient(run_program, {"PATH": str(tmp_path)})
    for ask in (client.names, client.current):
        with pytest.raises(PymachineError, match="no such luck"):
            ask()


def printing(tmp_path: Path, text: str) -> ContextClient:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    return ContextClient(run_program, {"PATH": str(tmp_path)})


@pytest.mark.parametrize("printed", ['{"Name": 7}', "[[], 3, null]", "3", ""])
def test_what_is_not_a_description_of_contexts_is_no_context(tmp_path: Path, printed: str) -> None:
    assert printing(tmp_path, printed).inspect(["web"]) == []


@pytest.mark.parametrize("printed", ["oops", "[1"])
def test_an_answer_that_is_not_json_is_an_error(tmp_path: Path, printed: str) -> None:
    with pytest.raises(PymachineError, match="inspect"):
        printing(tmp_path, printed).inspect(["web"])


def test_a_client_that_drops_the_mark_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    fake, store = FakeContexts(), MemoryStore(tmp_path)
    fake.keeps_metadata = False
    machine = store.put(Machine("web", "1", "fake", Phase.READY, endpoint=Endpoint("192.0.2.7")), secrets=FIRST)
    with pytest.raises(CheckFailed):
        MachineContexts(store, ContextClient(fake, {})).keep(machine)
    assert fake.contexts == {}
    assert not have_contexts(store)
