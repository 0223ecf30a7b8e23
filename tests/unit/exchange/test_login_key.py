"""A login key on a host: the scripts in a real shell, and what happens if the host does not accept it."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.errors import AuthFailed, CheckFailed, RemoteCommandFailed, Unreachable
from pymachine.exchange.login_key import _ADD, _REMOVE, grant_login, take_back
from pymachine.model import SshAddress
from pymachine.testing.fake_transport import FakeTransport, done
from pymachine.transport import Command, Transport
from pymachine.transport.key_pair import public_line

LINE = "ssh-ed25519 AAAA pymachine-export-web-2026-12-01"
ADDRESS = SshAddress("192.0.2.7", 22, "ann", host_key="ssh-ed25519 AAAA")


def run(script: str, home: Path) -> int:
    words = ["dash", "-c", script, "sh", LINE]
    environ = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    return subprocess.run(words, cwd="/", env=environ, timeout=LIMIT, check=False).returncode


@pytest.mark.parametrize("before", [None, "", "ssh-rsa BBBB ann\n", "ssh-rsa BBBB no newline"])
def test_the_line_is_added_and_taken_away(tmp_path: Path, before: str | None) -> None:
    file = tmp_path / ".ssh/authorized_keys"
    if before is not None:
        file.parent.mkdir(mode=0o755)
        file.write_text(before)
        file.chmod(0o640)
    assert run(_ADD, tmp_path) == 0
    assert file.read_text().splitlines() == [*(before or "").splitlines(), LINE]
    mode = 0o600 if before is None else 0o640
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert run(_REMOVE, tmp_path) == 0
    assert file.read_text().splitlines() == (before or "").splitlines()
    assert (stat.S_IMODE(file.stat().st_mode), len(list(file.parent.iterdir()))) == (mode, 1)


def test_taking_away_what_is_not_there_changes_nothing(tmp_path: Path) -> None:
    assert run(_REMOVE, tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def is_adding(command: Command) -> bool:
    return command.words[2] == _ADD


def is_removing(command: Command) -> bool:
    return command.words[2] == _REMOVE


def host() -> FakeTransport:
    made = FakeTransport(ADDRESS)
    made.answer(is_adding, done())
    made.answer(is_removing, done())
    return made


def test_the_key_that_is_given_away_is_the_one_that_was_tried() -> None:
    tried: list[bytes] = []

    def connect(address: SshAddress) -> Transport:
        assert address.key_path is not None
        assert stat.S_IMODE(Path(address.key_path).stat().st_mode) == 0o600
        tried.append(Path(address.key_path).read_bytes())
        return FakeTransport(address)

    there = host()
    grant = grant_login(there, "a comment", connect)
    assert tried == [grant.private]
    assert grant.line == f"{public_line(grant.private)} a comment"
    assert [call.command.words[-1] for call in there.calls] == [grant.line]
    assert not any(call.root for call in there.calls)
    take_back(there, grant)
    assert there.calls[-1].command.words[-1] == grant.line


@pytest.mark.parametrize(("error", "raised"), [(AuthFailed("no"), CheckFailed), (Unreachable("no"), Unreachable)])
def test_a_key_that_does_not_let_in_is_taken_back(error: Exception, raised: type[Exception]) -> None:
    def connect(address: SshAddress) -> Transport:
        raise error

    there = host()
    with pytest.raises(raised):
        grant_login(there, "a comment", connect)
    assert is_removing(there.calls[-1].command)


def test_a_file_that_cannot_be_written_is_an_error() -> None:
    there = FakeTransport(ADDRESS)
    there.answer(is_adding, done(code=1, stderr="read-only file system"))
    with pytest.raises(RemoteCommandFailed):
        grant_login(there, "a comment", FakeTransport)
