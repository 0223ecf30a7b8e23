"""``export`` and ``import FILE``: from one store to another, and what neither of them may do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab.client import docker_cli
from patience import LIMIT
from pymachine import tls
from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.events import Asker
from pymachine.exchange.login_key import _ADD, _REMOVE
from pymachine.model import Endpoint, Machine, Phase, SshAddress
from pymachine.steps.services import Connect
from pymachine.store.client_files import LOGIN_KEY
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_asker import FakeAsker
from pymachine.testing.fake_transport import FakeTransport, done
from pymachine.transport import Result, Transport
from pymachine.transport.key_pair import public_line

NOW = datetime(2026, 12, 1, tzinfo=UTC)
KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJe0S4yS5PyN1Y4yjxJkzMEz1nPUKIiDbkSgXrnJ8V9K"
HOST = SshAddress("192.0.2.7", 22, "root", host_key=KEY_LINE)


@dataclass
class Desk:
    """A computer with a store."""

    store: Path
    capsys: pytest.CaptureFixture[str]
    connect: Connect | None = None

    def run(self, *words: str, asker: Asker | None = None) -> int:
        wiring = Wiring(now=NOW.timestamp, asker=asker or FakeAsker(), connect=self.connect)
        return main(["-s", str(self.store), *words], wiring=wiring)

    def machine(self, name: str, ssh: SshAddress | None = HOST, **changes: object) -> None:
        """Put a machine with certificates on record."""
        issued = tls.issue(name, [name], now=NOW)
        record = Machine(
            name, f"id-{name}", "ssh", Phase.READY, ssh=ssh, endpoint=Endpoint("192.0.2.7"),
            certificates=issued.certificates, labels={"rack": "7"}, engine_version="26.1.5",
        )  # fmt: skip
        self.put(record.with_(**changes), {**issued.files, LOGIN_KEY: b"our own key"})

    def put(self, record: Machine, secrets: dict[str, bytes]) -> None:
        store = SqliteStore.open(self.store)
        store.put(record, secrets=secrets)
        store.close()

    def get(self, name: str) -> tuple[Machine, dict[str, bytes]]:
        store = SqliteStore.open(self.store)
        try:
            return store.get(name), store.secrets(name)
        finally:
            store.close()

    def names(self) -> list[str]:
        store = SqliteStore.open(self.store)
        try:
            return [record.name for record in store.records()]
        finally:
            store.close()


@pytest.fixture
def ours(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Desk(tmp_path / "ours", capsys)


@pytest.fixture
def theirs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path / "theirs", capsys)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "fleet.pymachine")


def test_access_goes_over_and_no_key_of_ours_does(ours: Desk, theirs: Desk, file: str) -> None:
    ours.machine("web")
    assert ours.run("export", "web", "-o", file, "--days", "30") == 0
    assert Path(file).stat().st_mode & 0o777 == 0o600
    _, secrets = ours.get("web")
    content = Path(file).read_bytes()
    for name in ("ca-key.pem", "server-key.pem", "key.pem", LOGIN_KEY):
        assert secrets[name].strip() not in content
    assert theirs.run("import", file, "-y") == 0
    machine, received = theirs.get("web")
    assert sorted(received) == ["ca.pem", "cert.pem", "key.pem"]
    tls.verify_set({**secrets, "cert.pem": received["cert.pem"], "key.pem": received["key.pem"]}, now=NOW)
    assert machine.certificates is not None
    assert machine.certificates.client_expires[:10] == "2026-12-30"
    assert (machine.guest, machine.driver, machine.endpoint) == (True, "ssh", Endpoint("192.0.2.7"))
    assert machine.ssh == SshAddress("192.0.2.7", 22, "root", host_key=KEY_LINE)
    assert (machine.labels, machine.engine_version) == ({"rack": "7"}, "26.1.5")
    assert machine.id != "id-web"


def test_each_export_has_a_certificate_of_its_own(ours: Desk, file: str) -> None:
    ours.machine("web")
    assert ours.run("export", "web", "-o", file) == 0
    assert ours.run("export", "web", "-o", f"{file}2") == 0
    assert Path(file).read_bytes() != Path(f"{file}2").read_bytes()
    assert ours.run("export", "web", "-o", file) == 2


def test_names_that_exist_are_renamed(ours: Desk, theirs: Desk, file: str) -> None:
    ours.machine("web")
    ours.machine("api", SshAddress("192.0.2.8", 22, "root", host_key=KEY_LINE))
    theirs.machine("WEB")
    assert ours.run("export", "web", "api", "-o", file) == 0
    assert theirs.run("import", file, "-y") == 3
    assert theirs.names() == ["WEB"]
    assert theirs.run("import", file, "-y", "--rename", "web=api") == 3
    assert theirs.run("import", file, "-y", "--rename", "nobody=x") == 3
    assert theirs.run("import", file, "-y", "--rename", "web") == 2
    assert theirs.run("import", file, "-y", "--rename", "web=web2") == 0
    assert theirs.names() == ["api", "WEB", "web2"]


def test_nothing_is_written_without_a_yes(ours: Desk, theirs: Desk, file: str) -> None:
    ours.machine("web")
    assert ours.run("export", "web", "-o", file) == 0
    assert theirs.run("import", file, "--dry-run") == 0
    assert theirs.run("import", file, asker=FakeAsker(yes=False)) == 0
    assert theirs.names() == []
    theirs.capsys.readouterr()
    assert theirs.run("import", file, "--json", "-y") == 0
    (told,) = json.loads(theirs.capsys.readouterr().out)
    assert (told["name"], told["was"], told["driver"]) == ("web", "ssh", "ssh")
    assert theirs.names() == ["web"]


def test_a_guest_is_neither_exported_nor_set_up_nor_taken_off_its_host(ours: Desk, theirs: Desk, file: str) -> None:
    ours.machine("web")
    assert ours.run("export", "web", "-o", file) == 0
    assert theirs.run("import", file, "-y") == 0
    assert theirs.run("export", "web", "-o", f"{file}2") == 3

    def no_connection(*args: object, **more: object) -> Transport:
        raise AssertionError("the host is not contacted")

    theirs.connect = no_connection
    for words in ("provision", "web"), ("upgrade", "web"), ("provision", "--dry-run", "web"):
        assert theirs.run(*words) == 3
    assert theirs.run("rm", "-y", "web") == 0
    assert theirs.names() == []


def test_a_machine_behind_a_program_goes_over_without_a_login(ours: Desk, theirs: Desk, file: str) -> None:
    ours.machine("web", SshAddress("192.0.2.7", 22, "root", host_key=KEY_LINE, proxy=("sh", "-c", "evil %h")))
    assert ours.run("export", "web", "-o", file, "--login-key") == 3
    assert ours.run("export", "web", "-o", file) == 0
    assert b"evil" not in Path(file).read_bytes()
    assert theirs.run("import", file, "-y") == 0
    machine, _ = theirs.get("web")
    assert (machine.driver, machine.ssh) == ("none", None)


class Host:
    """A host with an account whose authorised keys are a list."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def connect(
        self, address: SshAddress, *, asker: Asker, notice: Callable[[str], None], deadline: float,
        retry_for: float = 0.0,
    ) -> Transport:  # fmt: skip
        made = FakeTransport(address)
        made.answer(lambda command: command.words[2] == _ADD, lambda call: self._add(call.command.words[-1]))
        made.answer(lambda command: command.words[2] == _REMOVE, lambda call: self._remove(call.command.words[-1]))
        return made

    def _add(self, line: object) -> Result:
        self.keys.append(str(line))
        return done()

    def _remove(self, line: object) -> Result:
        self.keys.remove(str(line))
        return done()


def test_a_login_key_is_made_for_the_receiver(ours: Desk, theirs: Desk, file: str) -> None:
    host = Host()
    ours.connect = host.connect
    ours.machine("web")
    assert ours.run("export", "web", "--login-key", "-o", file) == 0
    assert theirs.run("import", file, "-y") == 0
    machine, received = theirs.get("web")
    assert machine.ssh is not None
    assert machine.ssh.key_path == LOGIN_KEY
    assert [line.split()[1] for line in host.keys] == [public_line(received[LOGIN_KEY]).split()[1]]


def test_a_login_key_is_taken_back_where_the_file_cannot_be_written(ours: Desk, tmp_path: Path) -> None:
    host = Host()
    ours.connect = host.connect
    ours.machine("web")
    assert ours.run("export", "web", "--login-key", "-o", str(tmp_path / "no/such/folder")) == 1
    assert host.keys == []


def test_an_encrypted_file(ours: Desk, theirs: Desk, file: str, tmp_path: Path) -> None:
    pyrage = pytest.importorskip("pyrage")
    own = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"{own}\n")
    ours.machine("web")
    assert ours.run("export", "web", "-o", file, "--recipient", str(own.to_public())) == 0
    assert b"ca.pem" not in Path(file).read_bytes()
    assert theirs.run("import", file, "-y", "--identity", str(tmp_path / "nothing")) == 2
    assert theirs.run("import", file, "-y", "--identity", str(tmp_path / "identity")) == 0
    assert theirs.names() == ["web"]


def test_a_passphrase_is_asked_for_twice_or_in_a_file(ours: Desk, file: str, tmp_path: Path) -> None:
    pytest.importorskip("pyrage")
    ours.machine("web")
    (tmp_path / "words").write_text("secret\n")
    assert ours.run("export", "web", "-o", file, "--passphrase", asker=FakeAsker("a", "b")) == 2
    assert ours.run("export", "web", "-o", file, "--passphrase", asker=FakeAsker("a", "a")) == 0
    assert ours.run("export", "web", "-o", f"{file}2", "--passphrase-file", str(tmp_path / "words")) == 0
    assert ours.run("export", "web", "-o", f"{file}3", "--passphrase", "--recipient", "age1x") == 2


def test_docker_takes_a_context(ours: Desk, tmp_path: Path) -> None:
    ours.machine("web")
    file = tmp_path / "web.dockercontext"
    assert ours.run("export", "web", "--docker-context", "-o", str(file)) == 0
    environ = {**os.environ, "DOCKER_CONFIG": str(tmp_path / "docker"), "HOME": str(tmp_path)}

    def docker(*words: str) -> bytes:
        words = (str(docker_cli()), "context", *words)
        return subprocess.run(words, env=environ, capture_output=True, check=True, timeout=LIMIT).stdout

    docker("import", "there", str(file))
    (found,) = json.loads(docker("inspect", "there"))
    assert found["Endpoints"]["docker"] == {"Host": "tcp://192.0.2.7:2376", "SkipTLSVerify": False}
    assert sorted(found["TLSMaterial"]["docker"]) == ["ca.pem", "cert.pem", "key.pem"]


def test_what_excludes_each_other(ours: Desk, file: str) -> None:
    ours.machine("web")
    ours.machine("api")
    assert ours.run("export", "web", "api", "--docker-context", "-o", file) == 2
    assert ours.run("export", "web", "--docker-context", "--login-key", "-o", file) == 2
    assert ours.run("export", "nobody", "-o", file) == 4
    assert ours.run("import", file) == 2
    assert ours.run("import", "docker-machine", "--rename", "a=b") == 2
    ours.machine("half", phase=Phase.REACHABLE)
    assert ours.run("export", "half", "-o", file) == 3
