"""The console: its log in pieces, and bytes that go both ways until somebody leaves."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from pymachine.errors import CheckFailed
from pymachine_kvm import console
from pymachine_kvm.console import attach, console_log, log_name
from pymachine_kvm.libvirt_api import NO_VOLUME, connect
from unit.kvm_machine import FakeDomain, LibvirtError, a_vm, defined

NOTHING_NOW = -2
RUNNING = 1


class FakeLog:
    """A volume with a part of a log, or one that is gone when it is read."""

    def __init__(self, name: str, content: bytes | None) -> None:
        self._name = name
        self._content = content

    def name(self) -> str:
        return self._name

    def download(self, stream: FakeDownload, offset: int, length: int) -> None:
        if self._content is None:
            raise LibvirtError(NO_VOLUME)
        stream.content = self._content


class FakeDownload:
    content = b""

    def recvAll(self, handler: Callable[[Any, bytes, Any], object], opaque: Any) -> None:  # noqa: N802
        for start in range(0, len(self.content), 3):
            handler(self, self.content[start : start + 3], opaque)

    def finish(self) -> None:
        """Be done."""


class FakeHost:
    """A libvirt whose one pool has these volumes."""

    def __init__(self, *volumes: FakeLog) -> None:
        self._volumes = volumes
        self.refreshed = 0

    def storagePoolLookupByName(self, name: str) -> FakeHost:  # noqa: N802
        return self

    def refresh(self, flags: int = 0) -> None:
        self.refreshed += 1

    def listAllVolumes(self) -> list[FakeLog]:  # noqa: N802
        return list(self._volumes)

    def newStream(self, flags: int = 0) -> FakeDownload:  # noqa: N802
        return FakeDownload()


def test_the_log_is_read_oldest_part_first() -> None:
    vm, other = a_vm(), a_vm()
    name = log_name(vm)
    host = FakeHost(
        FakeLog(name, b"newest"), FakeLog(f"{name}.1", b"oldest "), FakeLog(f"{name}.0", b"older "),
        FakeLog(log_name(other), b"another's"), FakeLog(vm.disk, b"disk"),
    )  # fmt: skip
    assert console_log(cast(Any, host), vm) == b"oldest older newest"
    assert host.refreshed == 1, "libvirt does not know of the file before it has looked"


def test_a_part_that_is_turned_over_meanwhile_is_left_out() -> None:
    vm = a_vm()
    host = FakeHost(FakeLog(f"{log_name(vm)}.0", None), FakeLog(log_name(vm), b"new"))
    assert console_log(cast(Any, host), vm) == b"new"


def test_a_machine_that_never_ran_has_an_empty_log() -> None:
    vm = a_vm()
    with connect(vm.uri) as conn:
        assert console_log(conn, vm) == b""
        assert console_log(conn, vm.with_(pool="nowhere")) == b""


class FakeStream:
    """A guest's end of a console: hands out what ``says`` has, takes ``room`` bytes at a time."""

    def __init__(self, *says: bytes | int, room: int = 1000) -> None:
        self.says = list(says)
        self.room = room
        self.heard = b""
        self.aborted = False

    def recv(self, size: int) -> bytes | int:
        return self.says.pop(0) if self.says else NOTHING_NOW

    def send(self, data: bytes) -> int:
        taken = data[: self.room]
        self.heard += taken
        return len(taken) or NOTHING_NOW

    def abort(self) -> None:
        self.aborted = True


class FakeGuest(FakeDomain):
    """A guest with a console; its own connection."""

    stream: FakeStream
    forced = False

    def newStream(self, flags: int) -> FakeStream:  # noqa: N802
        return self.stream

    def openConsole(self, device: None, stream: FakeStream, flags: int) -> None:  # noqa: N802
        self.forced = bool(flags)


@pytest.fixture
def pipes() -> Iterator[tuple[int, int, int, int]]:
    """Where keys are read and typed, and where the screen is seen and shown."""
    keys, typed = os.pipe()
    seen, screen = os.pipe()
    yield keys, typed, seen, screen
    for end in (keys, seen, screen):
        os.close(end)


def attached(stream: FakeStream, keys: int, screen: int) -> FakeGuest:
    guest = FakeGuest(RUNNING)
    guest.stream = stream
    attach(cast(Any, guest), a_vm(), keys, screen)
    assert stream.aborted
    return guest


def test_what_is_typed_before_leaving_still_arrives(pipes: tuple[int, int, int, int]) -> None:
    keys, typed, _, screen = pipes
    os.write(typed, b"root\x1dnever")
    stream = FakeStream()
    assert attached(stream, keys, screen).forced
    assert stream.heard == b"root"
    os.close(typed)


def test_a_guest_that_takes_little_at_a_time_gets_it_all(pipes: tuple[int, int, int, int]) -> None:
    keys, typed, _, screen = pipes
    os.write(typed, b"a long line of keys")
    stream = FakeStream(room=2)
    threading.Timer(0.2, os.write, (typed, b"\x1d")).start()
    attached(stream, keys, screen)
    assert stream.heard == b"a long line of keys"
    os.close(typed)


def test_what_the_guest_says_is_shown(pipes: tuple[int, int, int, int]) -> None:
    keys, typed, seen, screen = pipes
    attached(FakeStream(b"login", NOTHING_NOW, b": ", b""), keys, screen)
    assert os.read(seen, 100) == b"login: "
    os.close(typed)


def test_it_ends_with_the_keys(pipes: tuple[int, int, int, int]) -> None:
    keys, typed, _, screen = pipes
    os.close(typed)
    attached(FakeStream(), keys, screen)


def test_a_machine_that_is_off_has_no_console() -> None:
    vm = a_vm()
    with defined(vm) as (conn, _), pytest.raises(CheckFailed, match="switched off") as caught:
        attach(conn, vm, 0, 1)
    assert "pymachine start" in str(caught.value.hint)


def test_the_log_is_named_for_one_machine_alone() -> None:
    vm = a_vm()
    assert vm.id[:8] in console.log_name(vm)
