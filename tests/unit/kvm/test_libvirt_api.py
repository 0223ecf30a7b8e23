"""Connections end, libvirt stays silent, and what it says comes out as our errors with what mends them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from pymachine.errors import CheckFailed, DriverError, PymachineError
from pymachine_kvm.libvirt_api import (
    NO_DOMAIN,
    OPERATION_DENIED,
    code_of,
    connect,
    is_local,
    is_session,
    libvirt,
    translated,
)

TEST = "test:///default"


def refusal(uri: str, deadline: float = 10.0) -> CheckFailed:
    with pytest.raises(CheckFailed) as refused, connect(uri, deadline=deadline):
        pass
    assert refused.value.hint
    return refused.value


def test_a_connection_is_closed_at_its_end() -> None:
    with connect(TEST) as connection:
        assert connection.isAlive()
    with pytest.raises(libvirt().libvirtError):
        connection.listAllDomains()


def test_a_daemon_that_does_not_run_is_named_with_its_start(tmp_path: Path) -> None:
    refused = refusal(f"qemu+unix:///system?socket={tmp_path}/none")

    assert "libvirt" in refused.message
    assert "systemctl start libvirtd" in str(refused.hint)


def test_a_uri_that_nobody_serves_is_named_with_those_that_are() -> None:
    assert "qemu:///session" in str(refusal("nonsense:///x").hint)


def test_a_host_that_ssh_does_not_reach_is_said_with_the_command_to_try() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        refused = refusal(f"qemu+ssh://someone@127.0.0.1:{port}/system")

    assert f"ssh -o BatchMode=yes -p {port} someone@127.0.0.1" in str(refused.hint)


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_opening_is_given_up_after_its_deadline(mute: str) -> None:
    assert "no answer" in refusal(f"qemu+tcp://{mute}/system", deadline=0.3).message


def look_up(connection: Any, name: str) -> Any:
    with translated(f"looking for {name}"):
        return connection.lookupByName(name)


def test_errors_are_translated_with_what_was_tried_and_keep_their_number() -> None:
    with connect(TEST) as connection, pytest.raises(DriverError, match="looking for node9: Domain not") as raised:
        look_up(connection, "node9")
    assert code_of(raised.value) == NO_DOMAIN


def test_a_missing_right_is_a_refusal_that_says_how_to_get_it() -> None:
    with connect(TEST, read_only=True) as c, pytest.raises(CheckFailed) as raised, translated("stopping"):
        c.lookupByName("test").destroy()
    assert code_of(raised.value) == OPERATION_DENIED
    assert "usermod -aG libvirt" in str(raised.value.hint)


def test_our_own_errors_pass_through_as_they_are() -> None:
    with pytest.raises(DriverError, match=r"^ours$"), translated("trying"):
        raise DriverError("ours")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("cannot write: No space left on device", "free space"),
        ("qemu-system: cannot set up guest memory 'pc.ram': Cannot allocate memory", "--kvm-memory"),
        ("Could not access KVM kernel module: Permission denied", "/dev/kvm"),
        ("End of file while reading data: Input/output error", "start libvirt"),
        ("Could not set up host forwarding rule 'tcp::22-:22'", "ss -ltnp"),
        ("unsupported configuration: No emulator found for arch 'aarch64'", "apt install qemu-system-x86"),
        ("Emulator '/usr/bin/qemu-system-aarch64' does not support virt type 'kvm'", "--kvm-virt-type qemu"),
        ("Network not found: no network with matching name 'lab'", "virsh net-list"),
        ("Unable to find any firmware to satisfy 'efi'", "apt install ovmf"),
    ],
)
def test_known_troubles_come_with_what_mends_them(text: str, hint: str) -> None:
    class Said(libvirt().libvirtError):  # type: ignore[misc]
        def get_error_message(self) -> str:
            return text

        def get_error_code(self) -> int:
            return 1

    with pytest.raises(PymachineError) as raised, translated("starting node1"):
        raise Said(text)
    assert hint in str(raised.value.hint)


def test_libvirt_itself_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with connect(TEST) as connection, pytest.raises(DriverError):
        look_up(connection, "node9")
    refusal("nonsense:///x")

    assert capfd.readouterr() == ("", "")


class At:
    """A connection of which only the URI matters."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def getURI(self) -> str:  # noqa: N802 - libvirt's name
        return self._uri


@pytest.mark.parametrize(
    ("uri", "local", "session"),
    [
        ("qemu:///system", True, False),
        ("qemu+ssh://me@far/system", False, False),
        ("qemu+ssh://me@far/session?no_tty=1", False, True),
        ("qemu+ssh://[::1]:22/system", False, False),
        ("test:///default", True, False),
    ],
)
def test_where_a_daemon_is_and_whose(uri: str, local: bool, session: bool) -> None:
    assert (is_local(cast(Any, At(uri))), is_session(cast(Any, At(uri)))) == (local, session)
