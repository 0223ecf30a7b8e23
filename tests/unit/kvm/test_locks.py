"""One process at a time works on a thing, however its holder ends; and what a lease is given back with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from patience import LIMIT
from pymachine.errors import DriverError
from pymachine_kvm.dhcp_release import give_back, release_message
from pymachine_kvm.locks import exclusive, lock_folder

HOLD = """
import sys
from pymachine_kvm.locks import exclusive
class At:
    def getURI(self): return sys.argv[1]
with exclusive(At(), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


class At:
    def __init__(self, uri: str = "qemu:///system") -> None:
        self._uri = uri

    def getURI(self) -> str:  # noqa: N802 - libvirt's name
        return self._uri


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def held_elsewhere(what: str) -> subprocess.Popen[str]:
    """Start a process that holds the lock until its input ends or it is killed."""
    words = [sys.executable, "-c", HOLD, "qemu:///system", what]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_what_another_process_holds_is_waited_for_and_given_up_at_the_deadline() -> None:
    waited: list[str] = []
    with held_elsewhere("network default") as holder:
        with (
            pytest.raises(DriverError, match="network default: another pymachine"),
            exclusive(cast(Any, At()), "network default", deadline=0.2, waiting=lambda: waited.append("once")),
        ):
            pass
        with (
            exclusive(cast(Any, At()), "network lab"),
            exclusive(cast(Any, At("qemu:///session")), "network default"),
        ):
            pass
        holder.communicate()

    assert waited == ["once"]


def test_a_holder_that_is_killed_holds_nothing() -> None:
    with held_elsewhere("pool default") as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()

        with exclusive(cast(Any, At()), "pool default", deadline=LIMIT):
            pass


def test_the_folder_is_this_users_alone(folder: Path) -> None:
    assert lock_folder().stat().st_mode & 0o777 == 0o700


def test_a_link_in_its_place_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / f"pymachine-kvm-{os.geteuid()}").symlink_to(tmp_path)

    with pytest.raises(DriverError, match="another user"):
        lock_folder()


def test_a_release_says_whose_lease_it_is_and_to_which_server() -> None:
    message = release_message("192.168.122.50", "52:54:00:ab:cd:ef", "192.168.122.1")
    options = message[240:]

    assert len(message[:236]) == 236
    assert message[236:240] == bytes((99, 130, 83, 99))
    assert socket.inet_ntoa(message[12:16]) == "192.168.122.50"
    assert message[28:34] == bytes.fromhex("525400abcdef")
    assert options == b"\x35\x01\x07\x36\x04" + socket.inet_aton("192.168.122.1") + b"\xff"


def test_a_bridge_that_is_not_there_is_no_error() -> None:
    assert not give_back("192.0.2.9", "52:54:00:ab:cd:ef", server="192.0.2.1", bridge="pmnonesuch")
