"""The console of a virtual machine: its output, and interactive access.

The log is a file in the pool's folder, so that it is read and removed as a volume: no file of the daemon's host is
opened, whose owner would be root, and which may be another host.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pymachine.errors import CheckFailed
from pymachine_kvm.handle import Vm, volume_names
from pymachine_kvm.libvirt_api import GONE, code_of, libvirt, translated
from pymachine_kvm.libvirt_types import Connection, Domain, StorageVolume
from pymachine_kvm.status import required
from pymachine_kvm.storage import find_pool, refresh

CHUNK = 1 << 16
LEAVE = 0x1D  # Ctrl-], as in telnet and virsh
IDLE = 0.02  # seconds between two looks at a console that is silent
_NOTHING_NOW = -2  # virStreamRecv(3) of a non-blocking stream


def log_name(vm: Vm) -> str:
    """Return the name of the volume that the console's log is; older parts of it have .0, .1 … behind."""
    return f"{volume_names(vm.name, vm.id)[0].removesuffix('.qcow2')}-console.log"


def console_log(conn: Connection, vm: Vm) -> bytes:
    """Return what is kept of the machine's console, oldest first; empty where nothing was.

    Needs a connection that may write: libvirt lets no other download.
    """
    pool = find_pool(conn, vm.pool)
    if pool is None:
        return b""
    with translated(f"reading the console log of {vm.name}"):
        refresh(pool)
        parts = [volume for volume in pool.listAllVolumes() if volume.name().startswith(log_name(vm))]
        return b"".join(content_of(conn, volume) for volume in sorted(parts, key=_age, reverse=True))


def attach(conn: Connection, vm: Vm, keys: int, screen: int) -> None:
    """Connect two file descriptors to the console until Ctrl-] comes, the keys end, or the machine stops.

    Whoever is attached already is cut off: libvirt has one console for one person. Raises ``CheckFailed`` for a
    machine that is off.
    """
    domain = required(conn, vm)
    with _opened(conn, domain, vm) as stream:
        _Line(stream, keys, screen).carry()


def _age(volume: StorageVolume) -> int:
    """Return how old a part of the log is: the newest has no number."""
    number = volume.name().rpartition(".")[2]
    return int(number) + 1 if number.isdigit() else 0


def content_of(conn: Connection, volume: StorageVolume, limit: int = 0) -> bytes:
    """Return what a volume holds, its first ``limit`` bytes where that is given; empty where it is gone."""
    pieces: list[bytes] = []
    stream = conn.newStream()
    try:
        volume.download(stream, 0, limit)
        stream.recvAll(lambda _stream, data, _opaque: pieces.append(data), None)
        stream.finish()
    except libvirt().libvirtError as error:
        if code_of(error) not in GONE:  # the log was turned over between the list and now
            raise
    return b"".join(pieces)


@contextmanager
def _opened(conn: Connection, domain: Domain, vm: Vm) -> Iterator[Any]:
    module = libvirt()
    with translated(f"opening the console of {vm.name}"):
        if not domain.isActive():
            raise CheckFailed(f"{vm.name} is switched off", hint=f"`pymachine start {vm.name}` switches it on")
        stream = conn.newStream(module.VIR_STREAM_NONBLOCK)
        domain.openConsole(None, stream, module.VIR_DOMAIN_CONSOLE_FORCE)
    try:
        yield stream
    finally:
        with suppress(module.libvirtError):  # it ended by itself
            stream.abort()


class _Line:
    """Bytes that go both ways between a stream of libvirt's and two file descriptors."""

    def __init__(self, stream: Any, keys: int, screen: int) -> None:
        self._stream = stream
        self._keys = keys
        self._screen = screen
        self._unsent = b""

    def carry(self) -> None:
        """Carry until one end is reached."""
        while self._typed() and self._sent() and self._shown():
            pass

    def _typed(self) -> bool:
        """Take what was typed, waiting a moment for it; False at its end. What comes before Ctrl-] still counts."""
        if not select.select([self._keys], [], [], 0 if self._unsent else IDLE)[0]:
            return True
        data = os.read(self._keys, CHUNK)
        before, leave, _ = data.partition(bytes([LEAVE]))
        self._unsent += before
        if data and not leave:
            return True
        self._sent()
        return False

    def _sent(self) -> bool:
        """Send what can be sent now."""
        try:
            count = self._stream.send(self._unsent) if self._unsent else 0
        except libvirt().libvirtError:
            return False
        self._unsent = self._unsent[max(count, 0) :]
        return True

    def _shown(self) -> bool:
        """Show what has come; False at the console's end."""
        while True:
            try:
                data = self._stream.recv(CHUNK)
            except libvirt().libvirtError:
                return False
            if data == _NOTHING_NOW:
                return True
            if not data:
                return False
            _write(self._screen, data)


def _write(screen: int, data: bytes) -> None:
    while data:
        data = data[os.write(screen, data) :]
