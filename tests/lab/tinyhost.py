"""Machines whose guest is one boot sector: their image, and what answers for them at their address.

The guest shows the phases of a boot, over and over, and obeys its power button. It has no network: SSH's banner, and
an engine behind TLS with the certificates that were issued for the machine, come from this host, which is given the
machine's reserved address on loopback. A create of such a machine takes seconds.
"""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lab.tinyguest import TALK, sector, write_disk
from pymachine.store.sqlite import SqliteStore
from pymachine_kvm.images.cache import Shelf
from pymachine_kvm.images.image import ImageFacts

IMAGE = "tiny-with-engine"
BOOT = "Linux version 0\r\nRun /init as init process\r\nWelcome to tiny\r\ntiny login: \r\n"
OPTIONS = ("--kvm-image", IMAGE, "--kvm-memory", "256M", "--kvm-disk", "1G", "--kvm-cpus", "1",
           "--kvm-virt-type", "qemu")  # fmt: skip
SSH_PORT, ENGINE_PORT = 22, 2376
OS_RELEASE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
VERSION = {"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}


def kvm(name: str, *options: str) -> list[str]:
    """The words of a create of such a machine; emulated: a boot sector is no proof of hardware."""
    return ["create", "-d", "kvm", *OPTIONS, *options, name]


def put_image(folder: Path) -> None:
    """Put the image on the shelf in a folder, with an engine inside by what it says of itself."""
    with Shelf(folder).place(IMAGE) as place:
        with write_disk(place.part, sector(BOOT, then=TALK)).open("r+b") as disk:
            disk.seek(1 << 20)
            disk.write(secrets.token_bytes(16))  # no other test's base: each removes its own
        place.settle(ImageFacts(os_release=OS_RELEASE, engine=VERSION["Version"]), IMAGE)


class StandIn:
    """Answers for guests that have no network, at addresses of theirs that it puts on loopback."""

    def __init__(self) -> None:
        self._listeners: list[socket.socket] = []
        self._addresses: list[str] = []

    def ssh(self, address: str) -> None:
        """Say an SSH server's first words at an address from now on."""
        self._listen(address, SSH_PORT, lambda connection: connection.sendall(b"SSH-2.0-test\r\n"))

    def engine(self, address: str, store: Path, name: str) -> None:
        """Answer as the engine of a machine from now on, by the server certificate that its store holds then."""

        def answer(connection: socket.socket) -> None:
            with _context(store, name).wrap_socket(connection, server_side=True) as secured:
                while b"\r\n\r\n" not in secured.recv(1 << 16):
                    pass
                body = json.dumps(VERSION)
                secured.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

        self._listen(address, ENGINE_PORT, answer)

    def close(self) -> None:
        """Take it all away."""
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in it, which would keep it open
            listener.close()
        for address in self._addresses:
            subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True, timeout=10)

    def _listen(self, address: str, port: int, answer: Callable[[socket.socket], None]) -> None:
        if (address, port) in [listener.getsockname() for listener in self._listeners]:
            return
        if address not in self._addresses:
            subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True, timeout=10)
            self._addresses.append(address)
        self._listeners.append(socket.create_server((address, port)))
        threading.Thread(target=_serve, args=(self._listeners[-1], answer), daemon=True).start()


def _serve(listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):  # closed: the test is over
        while True:
            connection, _ = listener.accept()
            connection.settimeout(20)
            with connection, suppress(OSError):  # whoever asked was killed
                answer(connection)


def _context(store: Path, name: str) -> ssl.SSLContext:
    with SqliteStore.open(store) as opened:
        files = opened.secrets(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(files["server.pem"] + b"\n" + files["server-key.pem"])
        file.flush()
        context.load_cert_chain(file.name)
    context.load_verify_locations(cadata=files["ca.pem"].decode())
    context.verify_mode = ssl.CERT_REQUIRED
    return context
