"""Hundreds of hosts that speak real SSH and are nothing else: one process, one port, an address of loopback each.

Run as a program: python stub_hosts.py FOLDER. FOLDER holds ``key`` (the host key) and ``facts/ADDRESS`` (what the
look at that host answers); ``slow/ADDRESS`` holds seconds to wait before it does. Prints its port; counts logins in
``logins``, a line each, and ends with its standard input.
"""

from __future__ import annotations

import logging
import re
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

import paramiko

BACKLOG = 1024
MARK = re.compile(rb"<pymachine [0-9a-f]+>")
PATIENCE = 60.0


class Server(paramiko.Transport):
    """Tells when it has answered: the leave to run a command has to be out before what the command says."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.answered = threading.Event()

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)  # type: ignore[misc]
        self.answered.set()


class Host(paramiko.ServerInterface):
    """Lets everybody in, answers the look, and says yes to any other command."""

    def __init__(self, folder: Path, address: str, logins: TextIO) -> None:
        self._folder = folder
        self._logins: TextIO | None = logins
        self._address = address

    def get_allowed_auths(self, username: str) -> str:  # type: ignore[explicit-override]
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:  # type: ignore[explicit-override]
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:  # type: ignore[explicit-override]
        if self._logins is not None:
            self._logins.write(f"{self._address}\n")
            self._logins.flush()
            self._logins = None
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_pty_request(self, *terminal: object) -> bool:  # type: ignore[explicit-override]
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:  # type: ignore[explicit-override]
        channel.get_transport().answered.clear()  # type: ignore[attr-defined]
        threading.Thread(target=self._answer, args=(channel, command), daemon=True).start()
        return True

    def _answer(self, channel: paramiko.Channel, command: bytes) -> None:
        channel.get_transport().answered.wait(PATIENCE)  # type: ignore[attr-defined]
        slow = self._folder / "slow" / self._address
        if slow.exists():
            time.sleep(float(slow.read_text()))
        mark = MARK.search(command)
        if mark is not None:  # every command announces itself on both outputs
            channel.sendall(mark[0])
            channel.sendall_stderr(mark[0])
        if b"os_release" in command:
            channel.sendall((self._folder / "facts" / self._address).read_bytes())
        channel.send_exit_status(0)
        channel.close()


def serve(folder: Path) -> None:
    """Serve every address of loopback on one port, until standard input ends."""
    key = paramiko.Ed25519Key.from_private_key_file(str(folder / "key"))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", 0))
    listener.listen(BACKLOG)
    print(listener.getsockname()[1], flush=True)
    with (folder / "logins").open("a") as logins:
        threading.Thread(target=_accept, args=(listener, key, folder, logins), daemon=True).start()
        sys.stdin.read()


def _accept(listener: socket.socket, key: paramiko.PKey, folder: Path, logins: TextIO) -> None:
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_greet, args=(sock, key, folder, logins), daemon=True).start()


def _greet(sock: socket.socket, key: paramiko.PKey, folder: Path, logins: TextIO) -> None:
    address = sock.getsockname()[0]
    if not address.startswith("127."):
        sock.close()
        return
    transport = Server(sock)
    transport.add_server_key(key)
    transport.start_server(event=threading.Event(), server=Host(folder, address, logins))


if __name__ == "__main__":
    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # it tells of each client that went away
    serve(Path(sys.argv[1]))
