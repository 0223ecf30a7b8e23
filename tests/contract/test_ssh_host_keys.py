"""Which host keys are right is decided as the user's ssh decides it, where only that can."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from contract.conftest import Client
from contract.sshd import Sshd, make_key, require_sshd, running_sshd
from contract.test_ssh_users_config import Configured, web
from patience import LIMIT
from pymachine.errors import HostKeyMismatch
from pymachine.model import SshAddress
from pymachine.transport import Command

__all__ = ["web"]


def ssh_connects(home: Path, key: Path) -> bool:
    """Whether the system's ssh reaches the host with the same configuration."""
    words = ["ssh", "-F", str(home / ".ssh" / "config"), "-i", str(key), "-o", "BatchMode=yes", "-n", "web", "true"]
    return subprocess.run(words, capture_output=True, timeout=LIMIT, check=False).returncode == 0


class Setting:
    """What a case can name: files with the host's key, another key, or both."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        self.folder, self.sshd = folder, sshd
        self.known = folder / "known"

    def right(self, *names: str) -> str:
        return self.written(self.sshd.public_key("ed25519"), names)

    def wrong(self, *names: str) -> str:
        return self.written(make_key(self.folder / "other").with_suffix(".pub").read_text(), names)

    def written(self, key: str, names: tuple[str, ...]) -> str:
        names = names or (f"[127.0.0.1]:{self.sshd.port}",)
        self.known.write_text("".join(f"{name} {key.strip()}\n" for name in names))
        return str(self.known)

    def revoked(self) -> str:
        self.known.write_text(self.sshd.public_key("ed25519") + "\n")
        return str(self.known)


Case = Callable[[Setting], str]
STRICT, NEW, ANY = (f"StrictHostKeyChecking {word}" for word in ("yes", "accept-new", "no"))
FILE, COMMAND = "UserKnownHostsFile", "KnownHostsCommand /bin/cat"
CASES: dict[str, Case] = {
    "the key of the host without its port": lambda at: f"{STRICT}\n{FILE} {at.right('127.0.0.1')}",
    "another key of the host without its port": lambda at: f"{STRICT}\n{FILE} {at.wrong('127.0.0.1')}",
    "a key that changed, and no checking": lambda at: f"{ANY}\n{FILE} {at.wrong()}",
    "a key that changed, and checking": lambda at: f"{NEW}\n{FILE} {at.wrong()}",
    "a file of revoked keys": lambda at: f"{ANY}\nRevokedHostKeys {at.revoked()}",
    "no file of revoked keys": lambda at: f"{ANY}\nRevokedHostKeys {at.folder}/nothing",
    "a command that knows the key": lambda at: f"{STRICT}\n{COMMAND} {at.right()}",
    "a command that knows another key": lambda at: f"{NEW}\n{COMMAND} {at.wrong()}",
    "a tunnel's end": lambda at: f"{STRICT}\nNoHostAuthenticationForLocalhost yes\n{FILE} {at.wrong()}",
}


@pytest.mark.parametrize("case", CASES)
def test_a_key_is_accepted_where_ssh_accepts_it(
    client: Client, web: Configured, sshd: Sshd, home: Path, tmp_path: Path, case: str
) -> None:
    settings = CASES[case](Setting(tmp_path, sshd)).splitlines()
    if not any("UserKnownHostsFile" in line for line in settings):
        settings.append(f"UserKnownHostsFile {tmp_path}/nothing")
    address = web(*settings)
    connected = False
    with suppress(HostKeyMismatch):
        seen = client(address).address
        connected = seen.host_key == sshd.public_key("ed25519")
    assert connected == ssh_connects(home, sshd.folder / "key")


@pytest.fixture(scope="module")
def certified() -> Iterator[Sshd]:
    """A server with a certificate for the name ``web.example``, by the authority ``ca`` in its folder."""
    require_sshd()
    with running_sshd(kinds=("ed25519",)) as server:
        server.authorize("root", make_key(server.folder / "key"))
        make_key(server.folder / "ca")
        yield server


def certify(server: Sshd, *words: str, ca: str = "ca") -> None:
    """Give the server a certificate for its key."""
    host_key = server.folder / "host_ed25519.pub"
    sign = ["ssh-keygen", "-q", "-s", str(server.folder / ca), "-I", "host", "-h", *words, str(host_key)]
    subprocess.run(sign, check=True, capture_output=True, timeout=LIMIT)
    server.stop()
    server.settings = (f"HostCertificate {server.folder / 'host_ed25519-cert.pub'}",)
    server.start()


def trust(home: Path, server: Sshd, *settings: str) -> SshAddress:
    """Trust the authority for hosts below ``example``, and nothing else."""
    known = home / ".ssh" / "trusted"
    known.write_text(f"@cert-authority *.example {(server.folder / 'ca.pub').read_text()}")
    lines = ["Host web", "HostName 127.0.0.1", f"Port {server.port}", "User root", "HostKeyAlias web.example"]
    lines += ["StrictHostKeyChecking yes", f"UserKnownHostsFile {known}", *settings]
    (home / ".ssh" / "config").write_text("\n  ".join(lines) + "\n")
    return SshAddress("web", key_path=str(server.folder / "key"))


def test_a_certificate_of_the_host_is_verified_and_its_plain_key_is_kept(
    client: Client, certified: Sshd, home: Path
) -> None:
    certify(certified, "-n", "web.example")
    seen = client(trust(home, certified)).address
    assert seen.host_key == certified.public_key("ed25519")
    assert client(seen).run(Command.of("echo", "in")).text == "in\n", "the key on record is enough"


@pytest.mark.parametrize("fault", ["name", "time", "authority"])
def test_a_certificate_that_does_not_hold_is_refused(client: Client, certified: Sshd, home: Path, fault: str) -> None:
    if fault == "authority":
        make_key(certified.folder / f"other-{os.getpid()}")
    words = {"name": ("-n", "db.example"), "time": ("-n", "web.example", "-V", "20200101:20200102")}
    ca = f"other-{os.getpid()}" if fault == "authority" else "ca"
    certify(certified, *words.get(fault, ("-n", "web.example")), ca=ca)
    with pytest.raises(HostKeyMismatch):
        client(trust(home, certified))


def test_the_key_of_another_host_of_the_authority_is_not_the_one_on_record(
    client: Client, certified: Sshd, home: Path, tmp_path: Path
) -> None:
    certify(certified, "-n", "web.example")
    address = trust(home, certified)
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().rsplit(maxsplit=1)[0]
    with pytest.raises(HostKeyMismatch):
        client(SshAddress(address.host, key_path=address.key_path, host_key=other))


@pytest.mark.parametrize("token", ["%i", "%L", "%k", "${TEAM_KEY}"])
def test_every_token_of_an_identity_file_is_filled_in(
    client: Client, web: Configured, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("TEAM_KEY", "100%h")
    words = {
        "%i": str(os.getuid()),
        "%L": os.uname().nodename.partition(".")[0],
        "%k": "the-web",
        "${TEAM_KEY}": "100%h",
    }
    (tmp_path / f"my key {words[token]}").symlink_to(key)
    address = web("HostKeyAlias the-web", f'IdentityFile "{tmp_path}/my key {token}"', key=False)
    assert client(address).run(Command.of("id", "-u")).text == "0\n"


def test_a_program_may_hand_over_a_connection(client: Client, web: Configured, tmp_path: Path) -> None:
    program = tmp_path / "dial"
    program.write_text(
        "import socket, sys\n"
        "dialled = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "socket.send_fds(socket.socket(fileno=1), [b'x'], [dialled.fileno()])\n"
    )
    address = web(f"ProxyCommand python3 {program} %h %p", "ProxyUseFdpass yes")
    assert client(address).run(Command.of("id", "-u")).text == "0\n"
