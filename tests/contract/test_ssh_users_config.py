"""What the user's ssh would do with the user's SSH configuration is what we do, against a real sshd."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.conftest import Client
from contract.sshd import Sshd, make_key
from contract.test_ssh_login import agent
from pymachine.errors import AuthFailed, HostKeyMismatch, UsageFault
from pymachine.model import SshAddress
from pymachine.transport import Command


class Configured:
    """A host alias with these settings, and the file of host keys that they name."""

    def __init__(self, home: Path, sshd: Sshd, key: Path) -> None:
        self._home, self._sshd, self._key = home, sshd, key
        self.hosts = home / "team hosts".replace(" ", "_")

    def __call__(self, *settings: str, key: bool = True) -> SshAddress:
        lines = ["Host web", "HostName 127.0.0.1", f"Port {self._sshd.port}", "User root", *settings]
        (self._home / ".ssh" / "config").write_text("\n  ".join(lines) + "\n")
        return SshAddress("web", key_path=str(self._key) if key else None)


@pytest.fixture
def web(home: Path, sshd: Sshd, key: Path) -> Configured:
    return Configured(home, sshd, key)


def test_keys_are_looked_up_where_the_configuration_says(client: Client, web: Configured, sshd: Sshd) -> None:
    web.hosts.write_text(f"[127.0.0.1]:{sshd.port} {sshd.public_key('rsa')}\n")
    assert client(web(f"UserKnownHostsFile {web.hosts}")).address.host_key == sshd.public_key("rsa")
    assert client.notices == []


def test_a_blank_in_a_name_does_not_part_it(client: Client, web: Configured, sshd: Sshd, tmp_path: Path) -> None:
    one, two = tmp_path / "my hosts", tmp_path / "team hosts"
    one.write_text("")
    two.write_text(f"[127.0.0.1]:{sshd.port} {sshd.public_key('rsa')}\n")
    address = web(f'UserKnownHostsFile "{one}" "{two}"', "StrictHostKeyChecking yes")
    assert client(address).address.host_key == sshd.public_key("rsa")


def test_a_wrong_key_in_that_file_is_refused(client: Client, web: Configured, sshd: Sshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    web.hosts.write_text(f"[127.0.0.1]:{sshd.port} {other}")
    with pytest.raises(HostKeyMismatch):
        client(web(f"UserKnownHostsFile {web.hosts}"))


def test_the_alias_of_a_host_key_stands_in_the_file_without_a_port(
    client: Client, web: Configured, sshd: Sshd, tmp_path: Path
) -> None:
    web.hosts.write_text(f"the-web {sshd.public_key('ed25519')}\n")
    client(web(f"UserKnownHostsFile {web.hosts}", "HostKeyAlias the-web", "StrictHostKeyChecking yes"))
    assert client.notices == []
    web.hosts.write_text(f"the-web {make_key(tmp_path / 'other').with_suffix('.pub').read_text()}")
    with pytest.raises(HostKeyMismatch):
        client(web(f"UserKnownHostsFile {web.hosts}", "HostKeyAlias the-web"))


@pytest.mark.parametrize("strict", ["yes", "ask", "accept-new", "no"])
def test_an_unknown_key_is_refused_where_ssh_would_refuse_it(
    client: Client, web: Configured, sshd: Sshd, strict: str
) -> None:
    address = web("UserKnownHostsFile /dev/null", f"StrictHostKeyChecking {strict}")
    if strict != "yes":
        client(address)
        return
    with pytest.raises(HostKeyMismatch) as fault:
        client(address)
    assert sshd.fingerprint("ed25519") in (fault.value.hint or "")


@pytest.mark.parametrize("name", ["agent", "variable", "none"])
def test_the_agent_is_the_one_of_the_configuration(
    client: Client, web: Configured, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with agent(monkeypatch, tmp_path, key):
        monkeypatch.delenv("SSH_AUTH_SOCK")
        monkeypatch.setenv("TEAM_AGENT", str(tmp_path / "agent"))
        socket = {"agent": str(tmp_path / "agent"), "variable": "$TEAM_AGENT", "none": "none"}[name]
        address = web(f"IdentityAgent {socket}", key=False)
        if name == "none":
            monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
            with pytest.raises(AuthFailed):
                client(address)
        else:
            assert client(address).run(Command.of("id", "-u")).text == "0\n"


@pytest.mark.parametrize("only", ["yes", "no"])
def test_a_public_key_names_the_agents_private_one(
    client: Client, web: Configured, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: str
) -> None:
    public = tmp_path / "mine.pub"
    public.write_text(key.with_suffix(".pub").read_text())
    others = [make_key(tmp_path / f"other{number}") for number in range(6)]
    with agent(monkeypatch, tmp_path, *others, key):
        address = web(f"IdentityFile {public}", f"IdentitiesOnly {only}", key=False)
        assert client(address).run(Command.of("id", "-u")).text == "0\n"


def test_the_home_of_nobody_holds_no_key(client: Client, web: Configured, key: Path) -> None:
    address = web("IdentityFile ~nobody-of-that-name/key", f"IdentityFile {key}", key=False)
    assert client(address).run(Command.of("id", "-u")).text == "0\n"


def test_a_command_of_the_configuration_does_not_run_in_place_of_ours(client: Client, web: Configured) -> None:
    assert client(web("RemoteCommand echo theirs", "RequestTTY yes")).run(Command.of("echo", "ours")).text == "ours\n"


@pytest.mark.parametrize("damage", ["carriage returns", "no last line end"])
def test_a_key_file_that_ssh_cannot_read_is_refused_before_it_is_on_record(
    client: Client, key: Path, web: Configured, tmp_path: Path, damage: str
) -> None:
    data = key.read_bytes()
    bad = tmp_path / "bad"
    bad.write_bytes(data.replace(b"\n", b"\r\n") if damage == "carriage returns" else data.rstrip(b"\n"))
    bad.chmod(0o600)
    with pytest.raises(UsageFault, match=str(bad)):
        client(SshAddress(web().host, key_path=str(bad)))
