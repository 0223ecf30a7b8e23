"""A libvirt that stops, or falls silent, under a command is told as that: no command hangs on it.

The daemon that runs here is not stopped for it: a relay stands before its socket, and breaks.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from contract.libvirt_objects import require_libvirt
from lab.libvirtd import running
from patience import gives_up
from pymachine.errors import DriverError
from pymachine_kvm.libvirt_api import connect, translated

pytestmark = pytest.mark.lab  # needs root's libvirt, and takes its time

SOCKET = Path("/run/libvirt/libvirt-sock")


class Relay:
    """Carries one connection to the daemon's socket until it is broken or falls silent."""

    def __init__(self, path: Path) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._ends: list[socket.socket] = []
        self._silent = threading.Event()
        self.uri = f"qemu+unix:///system?socket={path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            near, _ = self._server.accept()
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(SOCKET))
            self._ends += [near, far]
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()
            self._carry(far, near)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if not self._silent.is_set():
                    target.sendall(data)

    def fall_silent(self) -> None:
        self._silent.set()

    def close(self) -> None:
        for end in (*self._ends, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    require_libvirt()
    with running():
        relay = Relay(tmp_path / "relay")
        yield relay
        relay.close()


def test_a_daemon_that_stops_is_told_with_what_to_do(relay: Relay) -> None:
    with connect(relay.uri) as connection:
        relay.close()
        with pytest.raises(DriverError, match="listing: ") as raised, translated("listing"):
            connection.listAllDomains()

    assert "start libvirt" in (raised.value.hint or "")


def test_a_daemon_that_falls_silent_is_given_up(relay: Relay) -> None:
    with connect(relay.uri, alive=1) as connection:
        relay.fall_silent()
        with gives_up(), pytest.raises(DriverError, match="listing: "), translated("listing"):
            connection.listAllDomains()
