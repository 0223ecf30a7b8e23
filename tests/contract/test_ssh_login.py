"""Reaching a real sshd and logging in: addresses, keys, agent, host keys, configuration, jump hosts."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from contract.conftest import Address, Client
from contract.sshd import Sshd, free_port, make_key, running_sshd
from patience import AGES, gives_up, until
from pymachine.errors import AuthFailed, HostKeyMismatch, TransportError, Unreachable, UsageFault
from pymachine.model import SshAddress
from pymachine.testing.fake_asker import FakeAsker
from pymachine.transport import Command
from pymachine.transport.keys import KeyRing

WRONG = "SHA256:" + base64.b64encode(b"x" * 32).decode().rstrip("=")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_addresses_of_both_families_and_names_are_reached(client: Client, address: Address, host: str) -> None:
    assert client(address(host=host)).run(Command.of("id", "-u")).text == "0\n"


def test_a_closed_port_is_refused_at_once_with_its_name(client: Client, address: Address) -> None:
    port = free_port()
    with pytest.raises(Unreachable, match=f"refused by 127.0.0.1:{port}"):
        client(address(port=port))


def test_a_host_name_that_does_not_exist_is_named(client: Client, address: Address) -> None:
    with pytest.raises(Unreachable, match=r"nowhere\.invalid"):
        client(address(host="nowhere.invalid"))


@contextmanager
def listening(greeting: bytes, *, close: bool) -> Iterator[int]:
    """A port that says ``greeting`` to each connection and then closes it or stays silent."""
    kept: list[socket.socket] = []

    def serve(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.sendall(greeting)
            if close:
                connection.close()
            kept.append(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in kept:
        connection.close()


def test_a_port_that_says_nothing_costs_the_deadline_and_no_more(client: Client, address: Address) -> None:
    with listening(b"", close=False) as port, gives_up(), pytest.raises(Unreachable, match="greeting"):
        client(address(port=port), deadline=0.5)


def test_a_server_that_greets_and_then_hangs_costs_no_more_either(client: Client, address: Address) -> None:
    greeting = b"SSH-2.0-slow\r\n"
    with listening(greeting, close=False) as port, gives_up(), pytest.raises(Unreachable, match="handshake"):
        client(address(port=port), deadline=0.7)


@pytest.mark.parametrize("greeting", [b"", b"Exceeded MaxStartups\r\n"])
def test_a_server_without_room_is_worth_another_try(client: Client, address: Address, greeting: bytes) -> None:
    with listening(greeting, close=True) as port, pytest.raises(Unreachable, match="closed"):
        client(address(port=port))


def test_a_service_that_is_not_ssh_is_recognised_and_not_retried(client: Client, address: Address) -> None:
    greeting, said = b"220 mail.example.org ESMTP\r\n", "is not an SSH server: it says '220 mail"
    with listening(greeting, close=False) as port, pytest.raises(TransportError, match=said) as fault:
        client(address(port=port), retry_for=30)
    assert not fault.value.retryable


def test_a_host_that_boots_is_waited_for(client: Client, tmp_path: Path) -> None:
    with running_sshd(kinds=("ed25519",)) as server:
        own = make_key(tmp_path / "own")
        server.authorize("root", own)
        server.stop()
        timer = threading.Timer(1.0, server.start)
        timer.start()
        client(SshAddress("127.0.0.1", server.port, "root", str(own)), retry_for=20)
        timer.join()


@pytest.mark.parametrize(
    "made", [("ed25519", None), ("ecdsa", None), ("rsa", None), ("rsa", "PEM"), ("ecdsa", "PKCS8")], ids=str
)
def test_keys_of_every_kind_log_in(
    client: Client, address: Address, sshd: Sshd, key: Path, tmp_path: Path, made: tuple[str, str | None]
) -> None:
    own = make_key(tmp_path / "own", made[0], form=made[1])
    with authorized(sshd, key, own):
        client(address(key_path=str(own)))


@contextmanager
def authorized(sshd: Sshd, *keys: Path) -> Iterator[None]:
    sshd.authorize("root", *keys)
    try:
        yield
    finally:
        sshd.authorize("root", keys[0])


def test_an_encrypted_key_is_asked_for_once_for_all_connections(
    client: Client, address: Address, sshd: Sshd, key: Path, tmp_path: Path
) -> None:
    own, asker, ring = make_key(tmp_path / "own", passphrase="secret"), FakeAsker("secret"), KeyRing()
    with authorized(sshd, key, own):
        for _ in range(2):
            client(address(key_path=str(own)), asker=asker, keys=ring)
    assert asker.asked == [f"passphrase of {own}"]


def test_a_refused_key_is_named_with_its_fingerprint_and_whom_it_was_for(
    client: Client, address: Address, sshd: Sshd, tmp_path: Path
) -> None:
    own = make_key(tmp_path / "own")
    with pytest.raises(AuthFailed) as fault:
        client(address(key_path=str(own)), retry_for=30)
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", own], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert fault.value.message == f"root@127.0.0.1:{sshd.port} refused 1 key: {fingerprint} ({own})"
    assert "ssh-copy-id" in (fault.value.hint or "")


def test_a_wrong_user_is_named(client: Client, address: Address) -> None:
    with pytest.raises(AuthFailed, match="nosuchuser@127"):
        client(address(user="nosuchuser"))


def test_without_any_key_the_hint_says_how_to_give_one(client: Client, address: Address) -> None:
    with pytest.raises(AuthFailed, match="SSH key") as fault:
        client(address(key_path=None))
    assert "--ssh-key" in (fault.value.hint or "")


def test_a_missing_key_file_is_a_usage_fault(client: Client, address: Address) -> None:
    with pytest.raises(UsageFault, match=" /nowhere"):
        client(address(key_path="/nowhere"))


def test_a_server_that_takes_no_keys_says_what_it_takes(client: Client, tmp_path: Path) -> None:
    settings = ("PubkeyAuthentication no", "PasswordAuthentication yes", "PermitRootLogin yes")
    own = make_key(tmp_path / "own")
    with (
        running_sshd(*settings, kinds=("ed25519",)) as server,
        pytest.raises(AuthFailed, match=" password"),
    ):
        client(SshAddress("127.0.0.1", server.port, "root", str(own)))


def test_a_server_that_wants_a_second_factor_is_explained(client: Client, tmp_path: Path) -> None:
    settings = ("AuthenticationMethods publickey,password", "PasswordAuthentication yes", "PermitRootLogin yes")
    with running_sshd(*settings, kinds=("ed25519",)) as server:
        own = make_key(tmp_path / "own")
        server.authorize("root", own)
        with pytest.raises(AuthFailed, match=": password"):
            client(SshAddress("127.0.0.1", server.port, "root", str(own)))


@contextmanager
def agent(monkeypatch: pytest.MonkeyPatch, folder: Path, *keys: Path) -> Iterator[None]:
    """A real ssh-agent that holds the keys."""
    socket_path = folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket_path)], stdout=subprocess.DEVNULL)
    try:
        until(socket_path.exists, "the agent listens")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket_path))
        for held in keys:
            subprocess.run(["ssh-add", "-q", str(held)], check=True, stdin=subprocess.DEVNULL, capture_output=True)
        yield
    finally:
        process.terminate()
        process.wait()


def test_keys_of_the_agent_are_offered(
    client: Client, address: Address, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with agent(monkeypatch, tmp_path, make_key(tmp_path / "other", "rsa"), key):
        client(address(key_path=None))


def test_an_explicit_key_is_offered_alone(
    client: Client, address: Address, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_key(tmp_path / "own")
    with agent(monkeypatch, tmp_path, key), pytest.raises(AuthFailed, match="refused 1 key"):
        client(address(key_path=str(own)))


def test_an_encrypted_key_that_the_agent_holds_is_not_asked_for(
    client: Client, address: Address, sshd: Sshd, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_key(tmp_path / "own")
    with authorized(sshd, key, own), agent(monkeypatch, tmp_path, own):
        words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(own)]
        subprocess.run(words, check=True, capture_output=True)
        asker = FakeAsker()
        client(address(key_path=str(own)), asker=asker)
    assert asker.asked == []


def test_more_keys_than_the_server_bears_are_not_all_offered(
    client: Client, address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [make_key(tmp_path / f"k{n}") for n in range(8)]
    with agent(monkeypatch, tmp_path, *many), pytest.raises(AuthFailed, match="refused 6 keys") as fault:
        client(address(key_path=None))
    assert "authentication failures" in fault.value.message
    assert "--ssh-key" in (fault.value.hint or "")


def test_a_stale_agent_socket_is_no_obstacle(
    client: Client, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere/agent")
    client(address())


def test_the_host_key_is_pinned_at_first_contact_and_shown(client: Client, address: Address, sshd: Sshd) -> None:
    seen = client(address()).address
    assert seen.host_key == sshd.public_key("ed25519")
    (notice,) = client.notices
    assert sshd.fingerprint("ed25519") in notice


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_pinned_key_line_is_asked_for_by_its_type(client: Client, address: Address, sshd: Sshd, kind: str) -> None:
    seen = client(address(host_key=sshd.public_key(kind))).address
    assert seen.host_key == sshd.public_key(kind)
    assert client.notices == []


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_fingerprint_is_matched_against_all_keys_of_the_host(
    client: Client, address: Address, sshd: Sshd, kind: str
) -> None:
    assert client(address(host_key=sshd.fingerprint(kind))).address.host_key == sshd.public_key(kind)


def test_a_changed_host_key_is_refused_before_login_with_both_fingerprints_and_the_way_out(
    client: Client, address: Address, sshd: Sshd
) -> None:
    before = sshd.log().count("Accepted publickey")
    with pytest.raises(HostKeyMismatch) as fault:
        client(address(host_key=WRONG), retry_for=30)
    assert WRONG in fault.value.message
    assert sshd.fingerprint("ed25519") in fault.value.message
    assert f"--ssh-host-key {sshd.fingerprint('ed25519')}" in (fault.value.hint or "")
    assert sshd.log().count("Accepted publickey") == before


def test_a_host_with_one_key_only_shows_a_mismatch_as_such(client: Client, key: Path) -> None:
    with running_sshd(kinds=("ecdsa",)) as server:
        with pytest.raises(HostKeyMismatch) as fault:
            client(SshAddress("127.0.0.1", server.port, "root", str(key), host_key=WRONG))
        assert fault.value.message.count(server.fingerprint("ecdsa")) == 1


def test_the_users_known_hosts_must_agree(client: Client, address: Address, sshd: Sshd, home: Path) -> None:
    known = home / ".ssh" / "known_hosts"
    known.write_text(f"[127.0.0.1]:{sshd.port} {sshd.public_key('rsa')}\n")
    assert client(address()).address.host_key == sshd.public_key("rsa")
    assert client.notices == []
    known.write_text(f"[127.0.0.1]:{sshd.port} {make_key(home / 'k').with_suffix('.pub').read_text()}")
    with pytest.raises(HostKeyMismatch, match="in known_hosts") as fault:
        client(address())
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in (fault.value.hint or "")


def test_a_revoked_host_key_is_refused(client: Client, address: Address, sshd: Sshd, home: Path) -> None:
    (home / ".ssh" / "known_hosts").write_text(f"@revoked * {sshd.public_key('ed25519')}\n")
    with pytest.raises(HostKeyMismatch, match="revoked"):
        client(address())


def test_the_ssh_configuration_fills_in_what_is_left_out(client: Client, sshd: Sshd, key: Path, home: Path) -> None:
    (home / ".ssh" / "more").write_text(f"Host web\n HostName 127.0.0.1\n Port {sshd.port}\n")
    (home / ".ssh" / "config").write_text(f"Include {home}/.ssh/more\nHost web\n IdentityFile {key}\n")
    seen = client(SshAddress("web")).address
    assert (seen.host, seen.port, seen.user) == ("127.0.0.1", sshd.port, "root")


def test_default_key_files_are_tried(client: Client, sshd: Sshd, key: Path, home: Path) -> None:
    target = home / ".ssh" / "id_ed25519"
    target.write_bytes(key.read_bytes())
    target.chmod(0o600)
    client(SshAddress("127.0.0.1", sshd.port))


@pytest.fixture(scope="module")
def bastion(sshd: Sshd, key: Path) -> Iterator[Sshd]:
    with running_sshd(kinds=("ed25519",)) as server:
        server.authorize("root", key)
        yield server


def test_a_jump_host_carries_the_connection(client: Client, address: Address, bastion: Sshd, sshd: Sshd) -> None:
    transport = client(address(jump=f"root@127.0.0.1:{bastion.port}"))
    assert transport.run(Command.script("cat | tr a-z A-Z"), stdin=b"x" * 100_000).stdout == b"X" * 100_000
    assert transport.address.jump == f"root@127.0.0.1:{bastion.port}"
    assert transport.address.host_key == sshd.public_key("ed25519")
    assert len(client.notices) == 2


def test_a_chain_of_jump_hosts_comes_from_the_configuration(
    client: Client, address: Address, bastion: Sshd, sshd: Sshd, key: Path, home: Path
) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host web\n HostName 127.0.0.1\n Port {sshd.port}\n User root\n ProxyJump inner\n IdentityFile {key}\n"
        f"Host inner\n HostName ::1\n Port {bastion.port}\n User root\n ProxyJump outer\n IdentityFile {key}\n"
        f"Host outer\n HostName 127.0.0.1\n Port {bastion.port}\n User root\n IdentityFile {key}\n"
    )
    transport = client(SshAddress("web"))
    assert transport.address.jump == f"root@127.0.0.1:{bastion.port},root@[::1]:{bastion.port}"
    assert transport.run(Command.of("true")).exit_code == 0
    assert client(SshAddress("web", jump="none")).address.jump == "none"


def test_a_changed_key_of_the_jump_host_is_refused(
    client: Client, address: Address, bastion: Sshd, sshd: Sshd, home: Path
) -> None:
    known = f"[127.0.0.1]:{bastion.port} {sshd.public_key('ed25519')}\n"
    (home / ".ssh" / "known_hosts").write_text(known)
    with pytest.raises(HostKeyMismatch, match=f"127.0.0.1:{bastion.port} shows"):
        client(address(jump=f"root@127.0.0.1:{bastion.port}"))


def test_what_the_jump_host_cannot_reach_is_said_to_be_so(client: Client, address: Address, bastion: Sshd) -> None:
    port = free_port()
    with pytest.raises(Unreachable, match=f"jump host .*127.0.0.1:{port}"):
        client(address(port=port, jump=f"root@127.0.0.1:{bastion.port}"))


# As simple as a way there can be: bytes from standard input to a TCP connection, and back.
PUMP = """
import os, socket, sys, threading
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def back():
    while data := there.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    there.sendall(data)
"""
THROUGH = (sys.executable, "-c", PUMP, "%h", "%p")


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split())


def test_a_program_carries_the_connection_and_is_kept_in_the_address(
    client: Client, address: Address, sshd: Sshd
) -> None:
    before = _children()
    transport = client(address(proxy=THROUGH))
    assert transport.run(Command.script("cat | tr a-z A-Z"), stdin=b"x" * 300_000).stdout == b"X" * 300_000
    assert (transport.address.proxy, transport.address.jump) == (THROUGH, None)
    assert transport.address.host_key == sshd.public_key("ed25519")
    assert len(_children()) == len(before) + 1
    transport.close()
    assert _children() == before


def test_a_program_goes_past_the_jump_hosts_of_the_configuration(
    client: Client, address: Address, home: Path
) -> None:
    (home / ".ssh" / "config").write_text("Host *\n ProxyJump nowhere.invalid\n")
    client(address(proxy=THROUGH))


def test_a_proxy_command_of_the_configuration_connects_and_is_kept(
    client: Client, address: Address, sshd: Sshd, home: Path, tmp_path: Path
) -> None:
    pump = tmp_path / "pump.py"
    pump.write_text(PUMP)
    through = f"ProxyCommand {sys.executable} {pump} %h %p 2>/dev/null"
    (home / ".ssh" / "config").write_text(f"Host inside\n HostName 127.0.0.1\n Port {sshd.port}\n {through}\n")
    before = _children()
    transport = client(replace(address(), host="inside", port=None))
    assert transport.run(Command.of("echo", "in")).stdout == b"in\n"
    assert len(_children()) == len(before) + 1
    kept = transport.address
    assert (kept.host, kept.port, kept.proxy[:2], kept.jump) == ("127.0.0.1", sshd.port, ("sh", "-c"), None)
    transport.close()
    (home / ".ssh" / "config").write_text("")
    again = client(kept)
    assert len(_children()) == len(before) + 1, "the record leads through it, whatever the configuration says now"
    again.close()
    straight = client(replace(kept, proxy=(), jump="none"))
    assert _children() == before
    straight.close()


def test_a_program_and_jump_hosts_at_once_are_refused(client: Client, address: Address) -> None:
    with pytest.raises(UsageFault, match="program"):
        client(address(proxy=THROUGH, jump="root@bastion"))


def test_what_a_program_says_when_it_fails_is_passed_on(client: Client, address: Address) -> None:
    port, before = free_port(), _children()
    with pytest.raises(Unreachable, match=f" 127.0.0.1:{port} through `python.*Connection refused"):
        client(address(proxy=THROUGH, port=port))
    assert _children() == before


def test_a_program_that_hangs_costs_the_deadline_and_no_more(client: Client, address: Address) -> None:
    before = _children()
    with gives_up(), pytest.raises(Unreachable, match="greeting"):
        client(address(proxy=("sleep", str(AGES))), deadline=0.5)
    assert _children() == before


def test_a_changed_host_key_is_refused_behind_a_program_as_well(client: Client, address: Address) -> None:
    before = _children()
    with pytest.raises(HostKeyMismatch):
        client(address(proxy=THROUGH, host_key=WRONG))
    assert _children() == before


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_is_left_open_after_a_failure(client: Client, address: Address, bastion: Sshd) -> None:
    before = _descriptors()
    for _ in range(5):
        with pytest.raises(TransportError):
            client(address(host_key=WRONG, jump=f"root@127.0.0.1:{bastion.port}"))
    until(lambda: _descriptors() <= before + 1, "what the threads of the connections hold is closed")
