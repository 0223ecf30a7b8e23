"""The console of a machine: its log, what comes after it, and typing into it on a real terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from patience import LIMIT, until
from pymachine import console
from pymachine.cli.commands.console import last_lines, plain
from pymachine.errors import DriverError, NotSupported
from unit.world import World

Terminal = tuple[int, subprocess.Popen[bytes]]


@pytest.fixture
def made(cloud_world: World) -> World:
    """A world with a machine."""
    cloud_world.made()
    return cloud_world


def prints(world: World, text: str) -> None:
    world.cloud.prints(world.store.get("node1").id, text)


def test_the_log_is_what_the_host_printed(made: World) -> None:
    assert console.log("node1", made.tools) == b""
    prints(made, "login: ")
    assert console.log("node1", made.tools) == b"login: "


def test_following_goes_on_with_what_comes(made: World) -> None:
    prints(made, "one\n")
    pieces = console.follow("node1", made.tools)
    seen = [next(pieces)]
    prints(made, "two\n")
    seen += islice(pieces, 2)
    assert seen == [b"one\n", b"two\n", b""]
    assert made.clock.slept == [console.LOOK_EVERY, console.LOOK_EVERY]


def test_following_ends_with_the_machine(made: World) -> None:
    pieces = console.follow("node1", made.tools)
    next(pieces)
    made.cloud.fail("console_log", DriverError("it is gone"))
    with pytest.raises(DriverError, match="it is gone"):
        next(pieces)


@pytest.mark.parametrize(
    ("seen", "now", "news"),
    [
        (b"", b"abc", b"abc"),
        (b"abc", b"abc", b""),
        (b"abc", b"abcdef", b"def"),
        (b"x" * 9000 + b"end", b"x" * 5000 + b"end and more", b" and more"),  # its oldest part was thrown away
        (b"something else", b"anew", b"anew"),
    ],
)
def test_what_was_seen_is_not_shown_again(seen: bytes, now: bytes, news: bytes) -> None:
    assert console.news(seen, now) == news


@pytest.mark.parametrize("verb", ["log", "attach"])
def test_a_driver_that_cannot_is_named(verb: str, made: World) -> None:
    made.cloud.lacking.add("console_log")
    with pytest.raises(NotSupported, match="driver fake "):
        console.log("node1", made.tools) if verb == "log" else console.attach("node1", made.tools, keys=0, screen=1)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"plain\r\n\ttext\r\n", "plain\n\ttext\n"),
        (b"\x1b[2J\x1b[01;01H\x1b[=3hBdsDxe", "BdsDxe"),
        (b"[\x1b[0;32m  OK  \x1b[0m] Started", "[  OK  ] Started"),
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1bcreset", "creset"),
        (b"bell\x07, delete\x7f, back\x08", "bell, delete, back"),
        ("\u009b2Jc1".encode(), "2Jc1"),
        (b"caf\xc3\xa9 \xff", "caf\xe9 \ufffd"),
    ],
)
def test_what_a_guest_prints_does_nothing_to_our_terminal(output: bytes, text: str) -> None:
    assert plain(output) == text


@pytest.mark.parametrize(("count", "text"), [(0, ""), (1, "c"), (2, "b\nc"), (9, "a\nb\nc")])
def test_the_last_lines_are_chosen(count: int, text: str) -> None:
    assert last_lines("a\nb\nc", count) == text


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Our end of a terminal, and a pymachine of the transcripts' world at the other: attached to node1's console."""
    ours, theirs = pty.openpty()
    tests = Path(__file__).parent.parent
    environ = {
        **os.environ, "PYTHONPATH": str(tests), "MACHINE_STORAGE_PATH": str(tmp_path / "store"),
        "FAKE_CLOUD": str(tmp_path / "cloud.json"), "TERM": "dumb",
    }  # fmt: skip
    program = [sys.executable, "-m", "transcripts.fakeworld"]
    subprocess.run([*program, "create", "-d", "fake", "node1"], env=environ, check=True, capture_output=True)
    attached = subprocess.Popen(
        [*program, "console", "--attach", "node1"], env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    yield ours, attached
    attached.kill()
    attached.wait()
    os.close(ours)


def seen_until(terminal: int, text: bytes, deadline: float = LIMIT) -> bytes:
    """What comes on the terminal up to and with a text."""
    seen, end = b"", time.monotonic() + deadline
    while text not in seen:
        assert select.select([terminal], [], [], max(end - time.monotonic(), 0))[0], f"only this came: {seen!r}"
        seen += os.read(terminal, 1000)
    return seen


def is_raw(terminal: int) -> bool:
    """Whether it passes on what is typed as it is."""
    local: int = termios.tcgetattr(terminal)[3]
    return not local & (termios.ISIG | termios.ICANON)


def test_every_key_goes_to_the_console_until_the_one_that_leaves(
    terminal: tuple[int, subprocess.Popen[bytes]],
) -> None:
    ours, attached = terminal
    seen_until(ours, b"Ctrl-] leaves it")
    until(lambda: is_raw(ours), "the terminal is made raw; until then it takes Ctrl-C for itself")
    os.write(ours, b"ls\r\x03\x1a")
    assert seen_until(ours, b"\x1a").endswith(b"ls\r\x03\x1a"), "Enter, Ctrl-C and Ctrl-Z are keys like any other"
    os.write(ours, b"\x1d")
    seen_until(ours, b"left the console of node1")
    assert attached.wait(LIMIT) == 0
