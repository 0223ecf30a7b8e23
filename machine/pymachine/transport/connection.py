"""A logged-in connection as a transport: commands, uploads and tunnels on its channels."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import paramiko

from pymachine.errors import RemoteCommandFailed, Unreachable
from pymachine.events import Asker
from pymachine.model import SshAddress
from pymachine.transport import OnLine, RemoteFile, Result
from pymachine.transport.addresses import place
from pymachine.transport.archive import NO_TAR, check_paths, pack_lines, pack_tar, unpack_lines, unpack_tar
from pymachine.transport.channel import Exchange
from pymachine.transport.command import Command
from pymachine.transport.deadline import Deadline
from pymachine.transport.shell import plain_line, root_line
from pymachine.transport.sudo import SudoPassword
from pymachine.transport.vendor import vendor_errors

MAX_SESSIONS = 10  # sshd's default limit of commands at a time on one connection
SESSION_PATIENCE = 10.0  # seconds to wait for one of them to end
SESSION_PAUSE = 0.05
TUNNEL_DEADLINE = 10.0
ROOT = "root"

_log = logging.getLogger(__name__)


class SshTransport:
    """One connection to one host; several threads may use it at a time.

    ``sessions`` are those to the jump hosts and, last, to the host itself. The log has a line for each command
    and upload, ``trip N:`` and the command, masked; never its input.
    """

    def __init__(self, sessions: Sequence[paramiko.Transport], address: SshAddress, asker: Asker) -> None:
        self._sessions = tuple(sessions)
        self._address = address
        self._where = place(address.host, address.port or 0)
        self._password = SudoPassword(asker, f"{address.user}@{self._where}")
        self._slots = threading.BoundedSemaphore(MAX_SESSIONS)
        self._count_lock = threading.Lock()
        self._trips = 0

    @property
    def address(self) -> SshAddress:
        """The resolved address, with the host key that was seen."""
        return self._address

    @property
    def trips(self) -> int:
        """How many commands and transfers went over this connection."""
        return self._trips

    def run(
        self,
        command: Command,
        *,
        stdin: bytes = b"",
        deadline: float = 60.0,
        root: bool = False,
        on_line: OnLine | None = None,
    ) -> Result:
        """Run a command under POSIX sh and wait for its end, at most ``deadline`` seconds.

        As root it goes through sudo, or doas, unless root logged in. A command whose time is up or whose caller was
        interrupted loses its channel, but may go on at the host. Of each output the last 16 MiB are kept.
        Raises ``DeadlineExceeded``, ``Unreachable``, ``SudoFailed``, or ``TransportError`` for an account that may
        not run commands.
        """
        through_sudo = root and self._address.user != ROOT
        line = (root_line if through_sudo else plain_line)(command)
        trip = self._count()
        limit = Deadline(deadline)
        _log.debug("%s: trip %d: %s%s", self._where, trip, "as root: " if root else "", command.masked())
        with self._slots, vendor_errors(f"running a command on {self._where}"):
            exchange = Exchange(self._open_channel(limit), line, deadline=limit, what=self._what(command))
            result = exchange.run(stdin, on_line=on_line, password=self._password.answer if through_sudo else None)
        _log.debug("%s: trip %d ended with code %d", self._where, trip, result.exit_code)
        return result

    def upload(self, files: Sequence[RemoteFile], folder: str, *, deadline: float = 120.0) -> None:
        """Place the files below ``folder`` in one transfer, with their modes, owned by root.

        The folder is made with mode 0700; one that is there already must be root's and keeps its mode. Contents
        travel on standard input only. A host without tar costs a second trip.
        Raises as ``run``, ``ValueError`` for a path that leaves the folder, and ``RemoteCommandFailed``.
        """
        check_paths(files, folder)
        command = unpack_tar(folder)
        result = self.run(command, stdin=pack_tar(files), root=True, deadline=deadline)
        if result.exit_code == NO_TAR:
            command = unpack_lines(folder)
            result = self.run(command, stdin=pack_lines(files), root=True, deadline=deadline)
        if result.exit_code:
            lines = tuple(result.error_text.strip().splitlines()[-5:])
            raise RemoteCommandFailed(f"unpack files in {folder}", result.exit_code, lines)

    def tunnel(self, host: str, port: int) -> paramiko.Channel:
        """Open a TCP connection from the host to ``host:port``, carried by this one.

        Raises ``Unreachable`` where nothing accepts it there within 10 s.
        """
        goal = place(host, port)
        with vendor_errors(f"opening a tunnel to {goal} through {self._where}"):
            try:
                return self._sessions[-1].open_channel(
                    "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=TUNNEL_DEADLINE
                )
            except paramiko.ChannelException as error:
                raise Unreachable(
                    f"{self._where} cannot reach {goal}: {error.text}",
                    hint="nothing listens there, or sshd forbids it (AllowTcpForwarding)",
                ) from error

    def close(self) -> None:
        """End the connection, and those to the jump hosts; safe to call twice."""
        close_all(self._sessions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_channel(self, limit: Deadline) -> paramiko.Channel:
        patience = Deadline(min(limit.left, SESSION_PATIENCE))
        while True:
            if not self._sessions[-1].is_active():
                raise Unreachable(f"the connection to {self._where} was lost", hint="give the command again")
            try:
                return self._sessions[-1].open_channel("session", timeout=limit.left)
            except paramiko.SSHException:
                # sshd counts a session until it has seen the end of it, and some hosts allow fewer than ten. paramiko
                # keeps one exception for all threads: who comes second finds no ChannelException, but its base class.
                if patience.passed or not self._sessions[-1].is_active():
                    raise
                time.sleep(SESSION_PAUSE)

    def _count(self) -> int:
        with self._count_lock:
            self._trips += 1
            return self._trips

    def _what(self, command: Command) -> str:
        return f"`{command.masked()[:80]}` on {self._where}"


def close_all(sessions: Sequence[paramiko.Transport]) -> None:
    """Close sessions, the one that is carried by the others first."""
    for session in reversed(sessions):
        with suppress(Exception):  # what is broken already
            session.close()
