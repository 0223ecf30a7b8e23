"""The suite that every driver passes, on real libvirt and QEMU: with a guest of one boot sector, who obeys its power
button, and an SSH banner that this host says at the address that was reserved for it."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from lab.kvm_fixtures import Virtual
from lab.tinyguest import OBEY, sector, write_disk
from pymachine.driver import Driver, Prospect
from pymachine.images.shelf import VARIABLE
from pymachine.testing.contract import DriverContract
from pymachine_kvm import KvmDriver, KvmOptions

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NAME = "contract1"  # as the suite calls it


class Banner:
    """Says an SSH server's first words at one address after the other, on loopback."""

    def __init__(self) -> None:
        self._listeners: list[tuple[str, socket.socket]] = []

    def at(self, address: str) -> None:
        """Give loopback the address and listen there."""
        if address in [known for known, _ in self._listeners]:
            return
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True, timeout=10)
        listener = socket.create_server((address, 22))
        self._listeners.append((address, listener))
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def close(self) -> None:
        """Take it all away."""
        for address, listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in it, which would keep it open
            listener.close()
            subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True, timeout=10)

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"SSH-2.0-test\r\n")


class TestKvm(DriverContract):
    @pytest.fixture(autouse=True)
    def world(self, virtual: Virtual, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv(VARIABLE, str(tmp_path / "images"))
        self.virtual = virtual
        self.disk = write_disk(tmp_path / "tiny.img", sector("Linux version 0\r\n", then=OBEY))
        self.banner = Banner()
        before, bases = virtual.leftovers(), set(virtual.bases())
        yield
        self.banner.close()
        assert virtual.leftovers() == before
        for name in set(virtual.bases()) - bases:
            virtual.virsh("vol-delete", "--pool", "default", name)

    @override
    def driver(self) -> Driver:
        return KvmDriver()

    @override
    def options(self) -> Any:
        return KvmOptions(
            kvm_image=str(self.disk), kvm_memory="256M", kvm_disk="1G", kvm_virt_type="qemu", kvm_cpus=1
        )

    @override
    def bad_options(self) -> Any:
        return KvmOptions(kvm_image=str(self.disk), kvm_memory="100T", kvm_virt_type="qemu")

    @override
    def count(self) -> int:
        return sum(name == NAME for name in self.virtual.domains())

    @override
    def foreseen(self, prospect: Prospect) -> None:
        assert prospect.ssh is not None
        self.banner.at(prospect.ssh.host)
