"""A boot on the console: bytes to lines, lines to phases, and the ways in which following it ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, cast

import pytest
from typing_extensions import override

from patience import AGES, LIMIT, gives_up, until
from pymachine.errors import CheckFailed, DriverError
from pymachine_kvm.boot import BootEnded, follow, has_banner, scaled, ssh_address, why_stopped
from pymachine_kvm.boot_log import LONGEST_LINE, MANY_LINES, Lines, Progress, Story, phase_of
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import libvirt

VM = Vm("fake:///", "0" * 32, "node1", "default", "disk", "seed", "52:54:00:00:00:01", virt_type="kvm", ssh_port=1)
BEHIND = VM.with_(uri="qemu+ssh://there/system")
RUNNING = (1, 1)
NOTHING_YET = -2


class FakeStream:
    """A console's stream: hands out pieces of bytes, then has nothing for the time being."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.aborted = False
        self.silences = 0

    def recv(self, size: int) -> bytes | int:
        if self.pieces:
            return self.pieces.pop(0)
        self.silences += 1
        return NOTHING_YET

    def abort(self) -> None:
        self.aborted = True


class FakeDomain:
    """A domain that goes through states, the last of which lasts; a state may be an error of libvirt."""

    def __init__(self, *states: Any, faults: dict[str, int] | None = None) -> None:
        self.states = list(states)
        self.faults = faults or {}

    def state(self) -> tuple[int, int]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        first, second = state
        return first, second

    def diskErrors(self) -> dict[str, int]:  # noqa: N802 - libvirt's name
        return self.faults

    def openConsole(self, device: None, stream: FakeStream, flags: int) -> None:  # noqa: N802
        """Have it."""


class FakeConnection:
    """A libvirt with one domain and what its console will say."""

    def __init__(self, domain: FakeDomain, *pieces: bytes) -> None:
        self.domain = domain
        self.stream = FakeStream(list(pieces))

    def newStream(self, flags: int) -> FakeStream:  # noqa: N802
        return self.stream

    def lookupByUUIDString(self, uuid: str) -> FakeDomain:  # noqa: N802
        assert uuid == VM.uuid
        return self.domain

    def was_read(self) -> bool:
        """Wait until all that the console said was passed on: it is, before it is read once more."""
        until(lambda: self.stream.silences > 1, "the console is read")
        return True

    def opener(self) -> Callable[[str], AbstractContextManager[Any]]:
        @contextmanager
        def connect(uri: str) -> Iterator[FakeConnection]:
            assert uri in (VM.uri, BEHIND.uri)
            yield self

        return connect


def following(conn: FakeConnection, *, deadline: float = 0.6, reached: Callable[[], bool] | None = None) -> list[str]:
    """Follow a boot and return the phases it told."""
    told: list[str] = []
    follow(VM, deadline=deadline, progress=told.append, reached=reached or (lambda: False), connect=conn.opener())
    return told


def failing(
    conn: FakeConnection, *, deadline: float = LIMIT, reached: Callable[[], bool] | None = None
) -> DriverError:
    with pytest.raises(DriverError) as caught:
        following(conn, deadline=deadline, reached=reached)
    return caught.value


# Lines.


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"one\r\ntwo\r\n"], ["one", "two"]),
        ([b"o", b"ne\r", b"\ntw", b"o\n"], ["one", "two"]),
        ([b"\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mssh\x1b[0m\n"], ["  OK  ] Started ssh"]),
        ([b"a\x1b", b"[1", b"mb\x1b[0m\n"], ["ab"]),
        ([b"\x1b]0;title\x07after\n"], ["after"]),
        ([b"first\x1b[2;1Hsecond\x1b[3;1H"], ["first", "second"]),
        ([b"10%\r20%\r30%\n"], ["10%", "20%", "30%"]),
        ([b"\n\r\n   \n"], []),
        ([b"bell\x07 nul\x00 tab\tstays\n"], ["bell nul tab\tstays"]),
        (["caf\u00e9\n".encode()[:4], "caf\u00e9\n".encode()[4:]], ["caf\u00e9"]),
        ([b"\xff\xfe\n"], ["\ufffd\ufffd"]),
        ([b"node1 login: "], ["node1 login:"]),
    ],
)
def test_pieces_of_a_console_become_clean_lines(pieces: list[bytes], lines: list[str]) -> None:
    reader = Lines()

    assert [line for piece in pieces for line in reader.feed(piece)] == lines


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    reader = Lines()

    (line,) = reader.feed(b"x" * (LONGEST_LINE + 1))

    assert len(line) == LONGEST_LINE + 1
    assert reader.unfinished() == ""


def test_what_has_no_end_yet_can_be_asked_for() -> None:
    reader = Lines()
    reader.feed(b"Kernel panic - not syncing")

    assert reader.unfinished() == "Kernel panic - not syncing"


# Phases: lines as Debian, Ubuntu and our own image print them.


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        ("SeaBIOS (version 1.16.2-debian-1.16.2-1)", "firmware"),
        ('BdsDxe: loading Boot0001 "UEFI Misc Device" from PciRoot(0x0)', "firmware"),
        ("Booting from Hard Disk...", "boot loader"),
        ("GNU GRUB  version 2.12-9", "boot loader"),
        ("Loading initial ramdisk ...", "boot loader"),
        ("[    0.000000] Linux version 6.12.43+deb13-cloud-amd64 (debian-kernel@lists.debian.org)", "kernel"),
        ("[    1.531337] Run /init as init process", "first file system"),
        ("Begin: Mounting root file system ... Begin: Running /scripts/local-top ... done.", "first file system"),
        ("[    3.1] systemd[1]: systemd 257.8-1~deb13u1 running in system mode (+PAM +AUDIT)", "system services"),
        ("Welcome to Debian GNU/Linux 13 (trixie)!", "system services"),
        ("[  OK  ] Reached target local-fs.target - Local File Systems.", "file systems"),
        ("[    7.2] cloud-init[312]: Cloud-init v. 25.1.4 running 'init-local' at Mon", "cloud-init: data source"),
        ("[  OK  ] Reached target network.target - Network.", "network"),
        ("[    9.9] cloud-init[400]: Cloud-init v. 25.1.4 running 'init' at Mon", "cloud-init: users and keys"),
        ("[  OK  ] Started ssh.service - OpenBSD Secure Shell server.", "SSH"),
        ("[  OK  ] Listening on ssh.socket - OpenBSD Secure Shell server socket.", "SSH"),
        ("[  OK  ] Listening on sshd-unix-local.socket - OpenSSH Server Socket (AF_UNIX Local).", None),
        ("[   12.0] cloud-init[521]: Cloud-init v. 22.4.2 running 'modules:config' at Mon", "cloud-init: settings"),
        ("[   14.0] cloud-init[533]: Cloud-init v. 22.4.2 running 'modules:final' at Mon", "cloud-init: set-up"),
        ("[   15.0] cloud-init[533]: Cloud-init v. 22.4.2 finished at Mon", "cloud-init is done"),
        ("[  OK  ] Started pymachine-first-boot.servi\u2026n/sh /run/pymachine-first-boot.run.", "the engine"),
        ("node1 login:", "login"),
        ("         Starting grub-common.service - Record successful boot for GRUB...", None),
        ("[    0.1] Calibrating delay loop (skipped)", None),
        ("[    0.1] Command line: BOOT_IMAGE=/boot/vmlinuz console=ttyS0", None),
        ("[  OK  ] Reached target network-pre.target - Preparation for Network.", None),
    ],
)
def test_a_line_tells_the_phase_that_it_begins(line: str, phase: str | None) -> None:
    assert phase_of(line) == phase


def test_each_phase_is_told_once_and_the_last_lines_are_kept() -> None:
    told: list[str] = []
    lines: list[str] = []
    story = Story(told.append, lines.append)

    for line in ["Linux version 6.12", *(f"line {n}" for n in range(20)), "Linux version 6.12", "node1 login:"]:
        story.take(line)

    assert told == ["kernel", "login"]
    assert len(lines) == 23
    assert (story.phase, len(story.last), story.last[-1]) == ("login", 10, "node1 login:")


def test_a_guest_that_was_reset_has_its_phases_told_once_more() -> None:
    told: list[str] = []
    story = Story(told.append, lambda line: None)

    story.take("Linux version 6.12")
    story.begin_again("why")
    story.take("Linux version 6.12")

    assert told == ["kernel", "once more, why", "kernel"]


def test_a_kernel_alone_is_no_progress_until_it_has_said_a_great_deal() -> None:
    progress = Progress()

    assert not progress.shown_by("Linux version 6.12")
    shown = [progress.shown_by(f"[    0.{n}] line") for n in range(MANY_LINES)]

    assert shown == [False] * (MANY_LINES - 1) + [True]


@pytest.mark.parametrize("line", ["[ 1.5] Run /init as init process", "Begin: Loading essential drivers ... done."])
def test_a_first_program_is_progress(line: str) -> None:
    assert Progress().shown_by(line)


@pytest.mark.parametrize("line", ["SeaBIOS (version 1.16)", "Booting from Hard Disk...", "GRUB loading."])
def test_firmware_and_boot_loader_are_no_progress(line: str) -> None:
    assert not Progress().shown_by(line)


# Following.


def test_the_guest_is_followed_until_it_is_reached() -> None:
    conn = FakeConnection(FakeDomain(RUNNING), b"Linux version 6\n", b"node1 login: ")
    answers = iter([False, False, True])

    told = following(conn, deadline=LIMIT, reached=lambda: next(answers) and conn.was_read())
    assert told == ["booting: kernel", "booting: login"]
    until(lambda: conn.stream.aborted, "the console is let go of")


def test_a_guest_that_is_not_there_in_time_ends_with_phase_and_lines() -> None:
    lines = b"".join(b"line %d\n" % number for number in range(30))
    conn = FakeConnection(FakeDomain(RUNNING), b"Linux version 6\n", lines)
    error = failing(conn, deadline=0.8, reached=lambda: not conn.was_read())

    first, *rest = error.message.splitlines()
    assert first.startswith("no SSH ")
    assert first.endswith(": kernel")
    assert rest == [f"  | line {number}" for number in range(20, 30)]
    assert error.hint is not None
    assert "--kvm-boot-timeout" in error.hint


def test_what_was_printed_without_an_end_is_shown_too() -> None:
    conn = FakeConnection(FakeDomain(RUNNING, (5, 1)), b"Kernel panic - not syncing")

    assert failing(conn).message.endswith("  | Kernel panic - not syncing")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ((5, 1), " down"),
        ((5, 2), " off"),
        ((5, 3), "QEMU crashed"),
        ((6, 1), "system crashed"),
        ((3, 10), "system crashed"),
        ((3, 0), "hardware virtualisation"),
        ((3, 5), "input/output error"),
    ],
)
def test_a_guest_that_stopped_is_not_waited_for(state: tuple[int, int], reason: str) -> None:
    with gives_up():
        error = failing(FakeConnection(FakeDomain(RUNNING, state)), deadline=AGES)

    assert reason in error.message.partition("; ")[0]


def test_a_full_disk_is_told_from_a_broken_one() -> None:
    ended = why_stopped(cast(Any, FakeDomain((3, 5), faults={"vda": 2})))

    assert ended is not None
    assert " full" in ended.reason
    assert "vda" in ended.reason


@pytest.mark.parametrize("state", [(1, 1), (3, 1), (3, 11), (4, 0)])
def test_a_guest_that_runs_starts_ends_or_was_paused_on_purpose_goes_on(state: tuple[int, int]) -> None:
    assert why_stopped(cast(Any, FakeDomain(state))) is None


def test_libvirt_that_goes_away_ends_it() -> None:
    gone = libvirt().libvirtError("client socket is closed")

    assert failing(FakeConnection(FakeDomain(RUNNING, gone)), deadline=LIMIT).message.startswith("watching node1: ")


def test_libvirt_that_cannot_be_had_at_all_ends_it() -> None:
    def connect(uri: str) -> AbstractContextManager[Any]:
        raise CheckFailed(f"{uri}: libvirt does not run", hint="start it")

    with pytest.raises(DriverError) as caught:
        follow(VM, deadline=LIMIT, progress=lambda line: None, reached=lambda: False, connect=connect)

    assert caught.value.message.startswith("fake:///: libvirt ")
    assert caught.value.hint == "start it"


def test_a_libvirt_that_hangs_does_not_outlast_the_deadline() -> None:
    release = threading.Event()

    class Hanging(FakeDomain):
        @override
        @override
        def state(self) -> tuple[int, int]:
            release.wait(AGES)
            return RUNNING

    with gives_up():
        error = failing(FakeConnection(Hanging()), deadline=0.5)
    release.set()

    assert "within 0 s" in error.message or "within 1 s" in error.message


def test_behind_another_host_the_console_says_when_ssh_is_there() -> None:
    told: list[str] = []
    conn = FakeConnection(FakeDomain(RUNNING), b"[  OK  ] Started ssh.service - OpenBSD Secure Shell server.\n")

    follow(BEHIND, deadline=LIMIT, progress=told.append, connect=conn.opener())

    assert told == ["booting: SSH"]


def test_on_this_host_the_console_alone_is_not_enough() -> None:
    for deadline in (0.6, 6, 60):  # a slow computer needs a later one to read the console in time
        conn = FakeConnection(FakeDomain(RUNNING), b"[  OK  ] Started ssh.service - OpenBSD Secure Shell server.\n")
        told: list[str] = []
        with pytest.raises(DriverError):
            follow(VM, deadline=deadline, progress=told.append, connect=conn.opener())
        if told == ["booting: SSH"]:
            return
    pytest.fail("the console was not read")


def test_an_emulated_guest_gets_more_time() -> None:
    assert (scaled(60, "kvm"), scaled(60, "qemu")) == (60, 180)


def test_a_machine_of_a_session_is_reached_by_its_port_on_loopback() -> None:
    assert ssh_address(VM.with_(ssh_port=2222)) == ("127.0.0.1", 2222)
    assert ssh_address(VM.with_(network="default", address="192.168.122.7")) == ("192.168.122.7", 22)


# The banner.


@contextmanager
def answering(text: bytes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                client, _ = server.accept()
                with client:
                    client.sendall(text)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1])
        thread.join(LIMIT)


@pytest.mark.parametrize(
    ("text", "is_ssh"), [(b"SSH-2.0-OpenSSH_10.0\r\n", True), (b"", False), (b"HTTP/1.1", False)]
)
def test_only_the_banner_of_ssh_counts(text: bytes, is_ssh: bool) -> None:
    with answering(text) as port:
        assert has_banner("127.0.0.1", port) is is_ssh


def test_a_port_that_accepts_and_says_nothing_is_not_reached(port: int) -> None:
    assert not has_banner("127.0.0.1", port, deadline=0.2)


def test_an_address_that_cannot_be_resolved_is_not_reached() -> None:
    assert not has_banner("", 1, deadline=0.2)


def test_the_end_of_a_view_has_a_reason() -> None:
    assert BootEnded("gone").hint is None
