"""Servers and keys that the tests of the real transport share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.sshd import Sshd, make_key, require_sshd, running_sshd
from lab.ec2.fixtures import *  # noqa: F403
from lab.kvm_fixtures import *  # noqa: F403
from pymachine.model import SshAddress
from pymachine.testing.fake_asker import FakeAsker
from pymachine.transport.connection import SshTransport
from pymachine.transport.keys import KeyRing
from pymachine.transport.ssh import connect


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """A server that lets ``key`` log in as root."""
    require_sshd()
    with running_sshd() as server:
        server.authorize("root", make_key(server.folder / "key"))
        yield server


@pytest.fixture(scope="session")
def modern_sshd() -> Iterator[Sshd]:
    """The same with the one cipher that paramiko lacks."""
    require_sshd()
    with running_sshd("Ciphers chacha20-poly1305@openssh.com") as server:
        server.authorize("root", make_key(server.folder / "key"))
        yield server


@pytest.fixture(scope="session")
def key(sshd: Sshd) -> Path:
    return sshd.folder / "key"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without SSH configuration, keys or known hosts."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Client:
    """Connects, keeps what it was told, and closes everything at the end."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self._open: list[SshTransport] = []

    def __call__(
        self,
        address: SshAddress,
        *,
        asker: FakeAsker | None = None,
        deadline: float = 10.0,
        retry_for: float = 0.0,
        keys: KeyRing | None = None,
    ) -> SshTransport:
        opened = connect(
            address,
            asker=asker or FakeAsker(),
            notice=self.notices.append,
            deadline=deadline,
            retry_for=retry_for,
            keys=keys,
        )
        self._open.append(opened)
        return opened

    def close(self) -> None:
        for transport in self._open:
            transport.close()


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    made = Client()
    yield made
    made.close()


Address = Callable[..., SshAddress]


@pytest.fixture
def address(sshd: Sshd, key: Path) -> Address:
    """The server's address, with changes."""

    def make(**changes: object) -> SshAddress:
        values: dict[str, object] = {"host": "127.0.0.1", "port": sshd.port, "user": "root", "key_path": str(key)}
        return SshAddress(**{**values, **changes})  # type: ignore[arg-type]

    return make
