"""Commands on a real sshd as another account, and as root through sudo: with and without a password, or refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from contract.conftest import Address, Client
from contract.sshd import Account, Sshd, account
from pymachine.errors import DeadlineExceeded, SudoFailed, TransportError, Unreachable, UsageFault
from pymachine.testing.fake_asker import FakeAsker
from pymachine.transport import Command, RemoteFile

FREE = "NAME ALL=(ALL) NOPASSWD: ALL"
ASKS = "NAME ALL=(ALL) ALL"
ASKS_ON_PTY = "Defaults:NAME use_pty\nNAME ALL=(ALL) ALL"
WHO = Command.script('id -un; cat; printf %s "$1"', "it's\n!x")
SAID = b"root\ninput\nmoreit's\n!x"
NAME = f"pymt{os.getpid()}"  # an own account for each worker of a parallel run


@contextmanager
def logged_in(sshd: Sshd, key: Path, *, login: str = "/bin/sh", sudoers: str | None = None) -> Iterator[Account]:
    if shutil.which("sudo") is None:
        pytest.skip("no sudo here")
    with account(NAME, login=login, sudoers=sudoers) as made:
        sshd.authorize(NAME, key)
        yield made


@pytest.mark.parametrize("rule", [FREE, ASKS, ASKS_ON_PTY])
def test_root_is_reached_in_one_trip_and_gets_the_commands_own_input(
    client: Client, address: Address, sshd: Sshd, key: Path, rule: str
) -> None:
    with logged_in(sshd, key, sudoers=rule) as made:
        asker = FakeAsker(made.password)
        transport = client(address(user=NAME), asker=asker)
        result = transport.run(WHO, stdin=b"input\nmore", root=True)
    assert (result.exit_code, result.stdout, result.stderr) == (0, SAID, b"")
    assert transport.trips == 1
    assert len(asker.asked) == (rule != FREE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_any_login_shell_will_do(client: Client, address: Address, sshd: Sshd, key: Path, shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"no {shell} here")
    with logged_in(sshd, key, login=path, sudoers=ASKS) as made:
        transport = client(address(user=NAME), asker=FakeAsker(made.password))
        assert transport.run(WHO, stdin=b"input\nmore", root=True).stdout == SAID
        assert transport.run(WHO, stdin=b"input\nmore").stdout == SAID.replace(b"root", NAME.encode())


def test_the_password_is_asked_for_once_a_connection(client: Client, address: Address, sshd: Sshd, key: Path) -> None:
    with logged_in(sshd, key, sudoers=ASKS) as made:
        asker = FakeAsker(made.password)
        transport = client(address(user=NAME), asker=asker)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda n: transport.run(WHO, stdin=b"input\nmore", root=True).stdout, range(4)))
    assert found == [SAID] * 4
    assert asker.asked == [f"sudo password of {NAME}@127.0.0.1:{sshd.port}"]


def test_cached_credentials_do_not_turn_the_password_into_input(
    client: Client, address: Address, sshd: Sshd, key: Path
) -> None:
    # With a timestamp for the account as a whole, the second sudo does not ask.
    rule = f"Defaults:NAME timestamp_type=global\n{ASKS}"
    with logged_in(sshd, key, sudoers=rule) as made:
        transport = client(address(user=NAME), asker=FakeAsker(made.password))
        for _ in range(2):
            assert transport.run(WHO, stdin=b"input\nmore", root=True).stdout == SAID
        asker = FakeAsker()
        assert client(address(user=NAME), asker=asker).run(WHO, stdin=b"input\nmore", root=True).stdout == SAID
    assert asker.asked == []


def test_a_mistyped_password_is_asked_for_once_more(client: Client, address: Address, sshd: Sshd, key: Path) -> None:
    with logged_in(sshd, key, sudoers=ASKS) as made:
        asker = FakeAsker("wrong", made.password)
        assert client(address(user=NAME), asker=asker).run(WHO, stdin=b"input\nmore", root=True).stdout == SAID
    assert len(asker.asked) == 2


def test_two_wrong_passwords_end_it(client: Client, address: Address, sshd: Sshd, key: Path) -> None:
    with logged_in(sshd, key, sudoers=ASKS):
        transport = client(address(user=NAME), asker=FakeAsker("wrong", "wrong", "wrong"))
        with pytest.raises(SudoFailed, match=f"password of {NAME}@"):
            transport.run(WHO, root=True)


def test_where_nobody_can_be_asked_it_is_a_usage_fault(
    client: Client, address: Address, sshd: Sshd, key: Path
) -> None:
    with logged_in(sshd, key, sudoers=ASKS), pytest.raises(UsageFault) as fault:
        client(address(user=NAME)).run(WHO, root=True)
    assert "NOPASSWD" in (fault.value.hint or "")


def test_the_time_a_person_takes_does_not_count(client: Client, address: Address, sshd: Sshd, key: Path) -> None:
    class Slow(FakeAsker):
        takes = 0.0

        def secret(self, prompt: str, *, instead: str) -> str:  # type: ignore[explicit-override]
            time.sleep(self.takes)
            return super().secret(prompt, instead=instead)

    def said(deadline: float) -> bytes:
        with logged_in(sshd, key, sudoers=ASKS) as made:
            asker = Slow(made.password)
            asker.takes = deadline + 0.3
            transport = client(address(user=NAME), asker=asker)
            return transport.run(WHO, stdin=b"input\nmore", root=True, deadline=deadline).stdout

    for deadline in (1.2, 6, 30):  # the person always takes longer; a slow computer needs a later one for the rest
        with suppress(DeadlineExceeded):
            assert said(deadline) == SAID
            return
    pytest.fail("the person's time counts")


def test_an_account_outside_the_sudoers_is_told_so(client: Client, address: Address, sshd: Sshd, key: Path) -> None:
    with logged_in(sshd, key) as made:
        transport = client(address(user=NAME), asker=FakeAsker(made.password))
        with pytest.raises(SudoFailed, match=f"root: .*{NAME} .*sudoers") as fault:
            transport.run(WHO, root=True)
    assert made.password not in fault.value.message
    assert "<password" not in fault.value.message
    assert "sudoers" in (fault.value.hint or "")


def test_sudo_that_wants_a_terminal_is_explained(client: Client, address: Address, sshd: Sshd, key: Path) -> None:
    with logged_in(sshd, key, sudoers=f"Defaults:NAME requiretty\n{FREE}"), pytest.raises(SudoFailed) as fault:
        client(address(user=NAME)).run(WHO, root=True)
    assert "requiretty" in (fault.value.hint or "")


def test_an_account_without_shell_is_explained(client: Client, address: Address, sshd: Sshd, key: Path) -> None:
    with (
        logged_in(sshd, key, login="/usr/sbin/nologin"),
        pytest.raises(TransportError, match="commands") as fault,
    ):
        client(address(user=NAME)).run(WHO)
    assert "This account is currently not available" in fault.value.message


def test_a_forced_command_as_cloud_images_have_it_for_root_is_explained(
    client: Client, address: Address, sshd: Sshd, key: Path
) -> None:
    said = 'Please login as the user \\"debian\\" rather than the user \\"root\\".'
    with logged_in(sshd, key):
        sshd.authorize(NAME, key, options=f"command=\"echo '{said}'; exit 142\"")
        with pytest.raises(TransportError, match='commands: Please login as the user "debian"'):
            client(address(user=NAME)).run(WHO)


def test_a_talkative_start_up_file_does_not_get_into_the_output(
    client: Client, address: Address, sshd: Sshd, key: Path
) -> None:
    with logged_in(sshd, key, login="/bin/bash", sudoers=FREE):
        # bash reads it for commands of sshd as well.
        Path(f"/home/{NAME}/.bashrc").write_text("echo welcome; echo mind the gap >&2\n")
        transport = client(address(user=NAME))
        for root in (False, True):
            result = transport.run(Command.script("echo out; echo err >&2"), root=root)
            assert (result.stdout, result.stderr) == (b"out\n", b"err\n")


def test_large_streams_pass_through_sudo(client: Client, address: Address, sshd: Sshd, key: Path) -> None:
    script = Command.script("head -c 3000000 /dev/zero & head -c 3000000 /dev/zero >&2; cat | wc -c; wait")
    with logged_in(sshd, key, sudoers=ASKS_ON_PTY) as made:
        transport = client(address(user=NAME), asker=FakeAsker(made.password))
        result = transport.run(script, stdin=b"\x03\x04\x1a" * 1_000_000, root=True)
    assert len(result.stderr) == 3_000_000
    assert result.stdout.strip(b"\0 \n") == b"3000000"


def test_an_upload_through_sudo_belongs_to_root(
    client: Client, address: Address, sshd: Sshd, key: Path, tmp_path: Path
) -> None:
    with logged_in(sshd, key, sudoers=ASKS) as made:
        transport = client(address(user=NAME), asker=FakeAsker(made.password))
        transport.upload([RemoteFile("tls/key.pem", b"key", 0o600)], str(tmp_path / "up"))
    assert transport.trips == 1
    for path, mode in ((tmp_path / "up", 0o700), (tmp_path / "up" / "tls" / "key.pem", 0o600)):
        found = path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 0, mode)


def test_the_password_is_on_no_command_line(client: Client, address: Address, sshd: Sshd, key: Path) -> None:
    with logged_in(sshd, key, sudoers=ASKS) as made:
        transport = client(address(user=NAME), asker=FakeAsker(made.password))
        everything = Command.script("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ")
        found = transport.run(everything, root=True).text
    assert NAME in found
    assert made.password not in found


def test_an_interrupted_caller_gives_its_channel_back(client: Client, address: Address) -> None:
    transport = client(address())

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    for _ in range(12):
        with pytest.raises(KeyboardInterrupt):
            transport.run(Command.script("echo one; cat"), on_line=interrupt)
    assert transport.run(Command.of("true")).exit_code == 0


def test_a_command_killed_on_the_host_is_no_success(client: Client, address: Address) -> None:
    with pytest.raises(TransportError, match="killed"):
        client(address()).run(Command.script("kill -9 $PPID"))


def test_a_lost_connection_is_unreachable(client: Client, address: Address) -> None:
    transport = client(address())
    # The parent of the command's shell is the sshd process of this one session.
    script = "sshd=$(cut -d' ' -f4 /proc/$PPID/stat); kill -9 \"$sshd\"; sleep 5"
    with pytest.raises(Unreachable, match=" lost"):
        transport.run(Command.script(script))
    with pytest.raises(Unreachable, match="was lost"):
        transport.run(Command.of("true"))


def test_a_slow_command_does_not_hold_up_another(client: Client, address: Address, tmp_path: Path) -> None:
    transport = client(address())
    end = tmp_path / "end"
    waits = Command.script('until [ -e "$1" ]; do sleep 0.1; done', str(end))
    slow = threading.Thread(target=lambda: transport.run(waits))
    slow.start()
    with pytest.raises(DeadlineExceeded):
        transport.run(Command.of("sleep", "9"), deadline=0.2)
    assert transport.run(Command.of("true")).exit_code == 0
    assert slow.is_alive()
    end.touch()
    slow.join()


def test_no_account_or_rule_of_a_test_is_left_behind() -> None:
    assert subprocess.run(["id", NAME], capture_output=True, check=False).returncode != 0
    assert not [name for name in Path("/etc/sudoers.d").iterdir() if name.name == f"pymachine-test-{NAME}"]
