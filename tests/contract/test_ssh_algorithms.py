"""Hosts whose sshd allows few algorithms: reached where ssh reaches them, else told what is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contract.conftest import Client
from contract.sshd import Sshd, account, make_key, require_sshd, running_sshd
from contract.test_ssh_login import THROUGH, WRONG
from patience import LIMIT, gives_up, until
from pymachine.errors import AuthFailed, HostKeyMismatch, NoCommonAlgorithm, TransportError, Unreachable
from pymachine.model import SshAddress
from pymachine.testing.fake_asker import FakeAsker
from pymachine.transport import Command

CHACHA = "Ciphers chacha20-poly1305@openssh.com"


def at(server: Sshd, **changes: object) -> SshAddress:
    values: dict[str, object] = {"port": server.port, "user": "root", "key_path": str(server.folder / "key")}
    return SshAddress("127.0.0.1", **{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def own_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the files of masters are, and nobody else's; its path is short enough for a socket."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


def masters(folder: Path) -> list[str]:
    words = ["pgrep", "-f", f"^ssh -F {folder}/"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()


@pytest.mark.parametrize(
    "setting",
    [
        "KexAlgorithms curve25519-sha256",
        "KexAlgorithms sntrup761x25519-sha512@openssh.com",
        "MACs umac-128-etm@openssh.com",
        CHACHA,
    ],
)
def test_a_host_with_one_algorithm_is_reached(client: Client, setting: str) -> None:
    require_sshd()
    with running_sshd(setting, kinds=("ed25519",)) as server:
        server.authorize("root", make_key(server.folder / "key"))
        transport = client(at(server))
        assert transport.run(Command.script("cat; echo err >&2; exit 7"), stdin=b"in").stdout == b"in"
        assert transport.address.host_key == server.public_key("ed25519")
        assert server.fingerprint("ed25519") in client.notices[0]


@pytest.fixture
def without_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.mark.usefixtures("without_ssh")
def test_without_ssh_the_error_names_what_is_missing_and_the_setting(client: Client, modern_sshd: Sshd) -> None:
    with pytest.raises(NoCommonAlgorithm) as fault:
        client(at(modern_sshd), retry_for=30)
    assert "chacha20-poly1305@openssh.com" in fault.value.message
    assert "aes256-gcm@openssh.com" in fault.value.message
    assert "Ciphers" in (fault.value.hint or "")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_pin_is_held_against_the_key_of_its_type(client: Client, modern_sshd: Sshd, kind: str) -> None:
    for pin in (modern_sshd.public_key(kind), modern_sshd.fingerprint(kind)):
        assert client(at(modern_sshd, host_key=pin)).address.host_key == modern_sshd.public_key(kind)
    assert client.notices == []


def test_another_key_is_refused_before_anybody_logs_in(client: Client, modern_sshd: Sshd) -> None:
    before = modern_sshd.log().count("Accepted publickey")
    with pytest.raises(HostKeyMismatch) as fault:
        client(at(modern_sshd, host_key=WRONG), retry_for=30)
    assert all(modern_sshd.fingerprint(kind) in fault.value.message for kind in ("ed25519", "ecdsa", "rsa"))
    assert modern_sshd.log().count("Accepted publickey") == before


def test_a_revoked_key_is_refused(client: Client, modern_sshd: Sshd, home: Path) -> None:
    (home / ".ssh" / "known_hosts").write_text(f"@revoked * {modern_sshd.public_key('ed25519')}\n")
    with pytest.raises(HostKeyMismatch, match="revoked"):
        client(at(modern_sshd))


def test_an_unknown_key_is_refused_where_the_configuration_says_so(
    client: Client, modern_sshd: Sshd, home: Path
) -> None:
    (home / ".ssh" / "config").write_text("Host *\n StrictHostKeyChecking yes\n")
    with pytest.raises(HostKeyMismatch):
        client(at(modern_sshd))


def test_a_key_that_the_host_does_not_know_is_no_reason_to_try_again(
    client: Client, modern_sshd: Sshd, tmp_path: Path
) -> None:
    with gives_up(), pytest.raises(AuthFailed):
        client(at(modern_sshd, key_path=str(make_key(tmp_path / "own"))), retry_for=600)


def test_a_key_with_a_passphrase_asks_nobody(client: Client, modern_sshd: Sshd, tmp_path: Path) -> None:
    own, asker = make_key(tmp_path / "own", passphrase="secret"), FakeAsker()
    with gives_up(), pytest.raises(AuthFailed) as fault:
        client(at(modern_sshd, key_path=str(own)), asker=asker)
    assert "ssh-add" in (fault.value.hint or "")


def test_jump_hosts_of_both_sorts_are_gone_through(client: Client, modern_sshd: Sshd, sshd: Sshd, key: Path) -> None:
    both = [make_or(server, key) for server in (modern_sshd, sshd)]
    for target, hop in (both, both[::-1]):
        client.notices.clear()
        transport = client(at(target, key_path=str(key), jump=f"root@127.0.0.1:{hop.port}"))
        assert transport.run(Command.of("echo", "in")).text == "in\n"
        assert transport.address.jump == f"root@127.0.0.1:{hop.port}"
        assert transport.address.host_key == target.public_key("ed25519")
        assert len(client.notices) == 2, "both keys were new"


def make_or(server: Sshd, key: Path) -> Sshd:
    own = server.folder / "key"
    server.authorize("root", own, *([key] if key != own else []))
    return server


def test_a_changed_key_of_a_jump_host_is_refused(
    client: Client, modern_sshd: Sshd, sshd: Sshd, key: Path, home: Path
) -> None:
    make_or(modern_sshd, key)
    wrong = f"[127.0.0.1]:{modern_sshd.port} {sshd.public_key('ed25519')}\n"
    (home / ".ssh" / "known_hosts").write_text(wrong)
    with pytest.raises(TransportError):
        client(at(sshd, key_path=str(key), jump=f"root@127.0.0.1:{modern_sshd.port}"))


def test_a_program_carries_such_a_connection_too(client: Client, modern_sshd: Sshd) -> None:
    transport = client(at(modern_sshd, proxy=THROUGH))
    assert transport.run(Command.of("echo", "in")).text == "in\n"
    assert transport.address.proxy == THROUGH


def test_sudo_is_given_its_password_and_the_command_its_input(client: Client, modern_sshd: Sshd) -> None:
    with account("pm-modern", sudoers="NAME ALL=(ALL) ALL") as login:
        modern_sshd.authorize("pm-modern", modern_sshd.folder / "key")
        transport = client(at(modern_sshd, user="pm-modern"), asker=FakeAsker(login.password))
        result = transport.run(Command.script("id -u; cat"), stdin=b"for the command", root=True, deadline=LIMIT)
        assert (result.exit_code, result.text) == (0, "0\nfor the command")


@pytest.mark.parametrize("code", [255, 0])
def test_exit_codes_are_the_commands_own(client: Client, modern_sshd: Sshd, code: int) -> None:
    assert client(at(modern_sshd)).run(Command.script(f"exit {code}")).exit_code == code


def test_a_command_that_a_signal_ends_has_no_code(client: Client, modern_sshd: Sshd) -> None:
    transport = client(at(modern_sshd))
    with pytest.raises(TransportError, match="killed"):
        transport.run(Command.script("kill -9 $PPID; kill -9 $$; sleep 9"), deadline=LIMIT)
    assert transport.run(Command.of("echo", "on")).text == "on\n"


@pytest.mark.parametrize("named", ["beside the key", "by the configuration"])
def test_a_certificate_lets_in_where_a_key_alone_does_not(
    client: Client, tmp_path: Path, home: Path, named: str
) -> None:
    require_sshd()
    authority, own = make_key(tmp_path / "authority"), make_key(tmp_path / "own")
    setting = f"TrustedUserCAKeys {authority}.pub"
    with running_sshd(setting, kinds=("ed25519",)) as server:
        address = SshAddress("127.0.0.1", server.port, "root", str(own))
        with pytest.raises(AuthFailed):
            client(address)
        words = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", "root", f"{own}.pub"]
        subprocess.run(words, check=True, capture_output=True)
        if named != "beside the key":
            moved = (tmp_path / "own-cert.pub").rename(tmp_path / "elsewhere.pub")
            (home / ".ssh" / "config").write_text(f"Host *\n CertificateFile {moved}\n")
        transport = client(address)
        assert transport.run(Command.of("echo", "in")).text == "in\n"
        assert transport.address.host_key == server.public_key("ed25519")


@pytest.mark.parametrize("name", ["a blank", "per%cent", "quo'te\"s", "${HOME}", "l" * 90, ""])
def test_any_folder_for_sockets_will_do(
    client: Client, modern_sshd: Sshd, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with tempfile.TemporaryDirectory() as base:
        (Path(base) / name).mkdir(exist_ok=True)
        monkeypatch.setenv("XDG_RUNTIME_DIR", f"{base}/{name}")
        assert client(at(modern_sshd)).run(Command.of("echo", "in")).text == "in\n"
        client.close()


EVERYTHING = """
IgnoreUnknown UseKeychain
UseKeychain yes
ControlMaster auto
ControlPath ~/.ssh/cm-%C
ControlPersist 10m
ForkAfterAuthentication yes
StdinNull yes
SessionType none
RemoteCommand echo theirs
RequestTTY force
LocalForward 127.0.0.1:1 127.0.0.1:2
PermitLocalCommand yes
LocalCommand touch {home}/ran
KnownHostsCommand /bin/echo * {key}
NoHostAuthenticationForLocalhost yes
StrictHostKeyChecking no
BatchMode no
LogLevel DEBUG
Tunnel yes
"""


def test_nothing_of_the_users_configuration_changes_what_is_run_or_which_key_is_right(
    client: Client, modern_sshd: Sshd, home: Path, own_folder: Path
) -> None:
    text = EVERYTHING.format(home=home, key=modern_sshd.public_key("ed25519"))
    (home / ".ssh" / "config").write_text("Host *" + text.replace("\n", "\n "))
    transport = client(at(modern_sshd))
    assert transport.run(Command.script("cat; echo err >&2; exit 3"), stdin=b"in").stdout == b"in"
    assert not (home / "ran").exists()
    assert [path.name for path in (home / ".ssh").iterdir()] == ["config"]
    transport.close()
    assert masters(own_folder) == []
    with pytest.raises(HostKeyMismatch):
        client(at(modern_sshd, host_key=WRONG))


@pytest.fixture(params=["", CHACHA], ids=["paramiko", "openssh"])
def narrow(request: pytest.FixtureRequest) -> Iterator[Sshd]:
    """A server that allows two sessions at a time."""
    require_sshd()
    with running_sshd("MaxSessions 2", *filter(None, [request.param]), kinds=("ed25519",)) as server:
        server.authorize("root", make_key(server.folder / "key"))
        yield server


def test_sessions_beyond_those_that_the_host_allows_wait_for_the_others(client: Client, narrow: Sshd) -> None:
    transport = client(at(narrow))
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda n: transport.run(Command.script(f"sleep 0.3; echo {n}"), deadline=LIMIT), range(8))
        )
    assert [result.text for result in found] == [f"{n}\n" for n in range(8)]


def test_a_connection_that_dies_is_told_and_nothing_waits(
    client: Client, modern_sshd: Sshd, own_folder: Path
) -> None:
    transport = client(at(modern_sshd))
    (master,) = masters(own_folder)
    threading.Timer(0.5, os.kill, (int(master), signal.SIGKILL)).start()
    with gives_up(), pytest.raises(Unreachable, match="lost"):
        transport.run(Command.of("sleep", "600"), deadline=LIMIT)
    with pytest.raises(Unreachable, match="lost"):
        transport.run(Command.of("true"))


@pytest.mark.usefixtures("home")
def test_nothing_is_left_of_a_master_when_we_are_killed(modern_sshd: Sshd, own_folder: Path) -> None:
    program = f"""
import sys, time
from pymachine.model import SshAddress
from pymachine.testing.fake_asker import FakeAsker
from pymachine.transport.ssh import connect
address = SshAddress("127.0.0.1", {modern_sshd.port}, "root", {str(modern_sshd.folder / "key")!r})
with connect(address, asker=FakeAsker(), notice=lambda text: None):
    print("in", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        assert len(masters(own_folder)) == 1
        os.kill(process.pid, signal.SIGKILL)
    until(lambda: not masters(own_folder) and not list(own_folder.iterdir()), "the master ends with us")


def test_nothing_is_left_of_a_master_that_was_closed(client: Client, modern_sshd: Sshd, own_folder: Path) -> None:
    transport = client(at(modern_sshd))
    assert list(own_folder.iterdir())
    transport.close()
    assert (masters(own_folder), list(own_folder.iterdir())) == ([], [])
