"""Which machine a command takes that is given no name, and that it says so."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pymachine.cli import client_env, main, quick
from pymachine.cli.dependencies import Wiring
from pymachine.model import Endpoint, Machine, Phase
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_contexts import FakeContexts

HOSTS = {"web": "192.0.2.1", "db": "192.0.2.2", "default": "192.0.2.3"}


@dataclass
class Shell:
    """A shell, a store with machines, and a docker client."""

    folder: Path
    docker: FakeContexts
    capsys: pytest.CaptureFixture[str]

    def have(self, *names: str) -> None:
        with SqliteStore.open(self.folder) as store:
            for name in names:
                store.put(Machine(name, f"id-{name}", "none", Phase.READY, {}, endpoint=Endpoint(HOSTS[name], 2375)))

    def run(self, *words: str) -> tuple[int, str, str]:
        code = main(["-s", str(self.folder), *words], wiring=Wiring(run=self.docker))
        out, err = self.capsys.readouterr()
        return code, out, err

    def taken(self) -> str | None:
        """Return the machine that `url` takes; None if it is refused. Both ways to answer agree, and say which."""
        code, out, err = self.run("url")
        found = quick.answer(["-s", str(self.folder), "url"], os.environ)
        if isinstance(found, quick.AssumedAnswer):
            assert (found, f"{found.note}\n") == (out, err)
        if code:
            assert (code, found) == (2, None)
            return None
        (name,) = [name for name, host in HOSTS.items() if host in out]
        assert name in err
        return name


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_MACHINE_NAME"):
        monkeypatch.delenv(variable, raising=False)
    return Shell(tmp_path / "store", FakeContexts(), capsys)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), None),
        (("web",), "web"),
        (("web", "db"), None),
        (("web", "default"), "default"),
        (("default",), "default"),
    ],
)
def test_the_only_machine_is_taken_else_the_default(shell: Shell, names: Sequence[str], expected: str | None) -> None:
    shell.have(*names)
    assert shell.taken() == expected


def test_the_machine_at_docker_host_goes_before_both(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.have("web", "db", "default")
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert shell.taken() == "web"
    monkeypatch.setenv("DOCKER_HOST", "tcp://198.51.100.1:2375")
    assert shell.taken() == "default"


def test_the_machine_of_the_clients_context_is_active(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.have("web", "db", "default")
    assert shell.run("active")[0] == 1
    assert shell.docker.calls == []
    shell.run("context", "sync", "web", "db")
    shell.run("use", "web")
    assert shell.taken() == "web"
    assert shell.run("active")[1] == "web\n"
    monkeypatch.setenv("DOCKER_CONTEXT", "db")
    assert shell.taken() == "db"
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.3:2375")
    assert shell.taken() == "default"


def test_a_client_that_cannot_tell_is_asked_no_favours(shell: Shell) -> None:
    shell.have("web", "default")
    shell.run("use", "web")
    shell.docker.fault = "no such luck"
    for words in (("url",), ("stop",), ("active",)):
        code, out, err = shell.run(*words)
        assert (code, out) == (1, "")
        assert "no such luck" in err
    assert shell.run("ls", "--timeout", "0.1")[0] == 0
    shell.docker.fault, shell.docker.installed = "", False
    assert shell.taken() == "default"


CAREFUL = [
    ("stop",), ("kill",), ("restart",), ("provision",), ("upgrade",), ("resize", "--cpus", "2"),
    ("snapshot", "create"), ("swarm", "leave"), ("swarm", "drain"),
]  # fmt: skip


@pytest.mark.parametrize("words", CAREFUL, ids=" ".join)
def test_what_stops_or_changes_a_machine_does_not_take_the_only_one(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: Sequence[str]
) -> None:
    shell.have("web")
    code, _, err = shell.run(*words)
    assert code == 2
    assert "note:" not in err
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    code, _, err = shell.run(*words)
    assert client_env.assumption("web", client_env.ACTIVE) in err
    assert code != 2


@pytest.mark.parametrize("words", [("stop",), ("provision",)], ids=" ".join)
def test_they_take_the_default(shell: Shell, words: Sequence[str]) -> None:
    shell.have("web", "default")
    assert client_env.assumption("default", client_env.NAMED_DEFAULT) in shell.run(*words)[2]


def test_rm_needs_names_whatever_is_active(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.have("default")
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.3:2375")
    assert shell.run("rm", "-y")[0] == 2
    assert shell.run("ls", "-q")[1] == "default\n"


def test_a_quick_answer_says_which_machine_it_took(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.have("web")
    assert main(["-s", str(shell.folder), "url"]) == 0
    assert capsys.readouterr() == ("tcp://192.0.2.1:2375\n", f"{client_env.assumption('web', client_env.ONLY)}\n")
