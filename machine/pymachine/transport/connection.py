"""A logged-in connection as a transport: commands, uploads and tunnels on its channels."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pymachine.addresses import place
from pymachine.clock import Deadline
from pymachine.errors import DeadlineExceeded, RemoteCommandFailed, Unreachable
from pymachine.events import Asker
from pymachine.model import SshAddress
from pymachine.transport import OnLine, RemoteFile, Result, Tunnel
from pymachine.transport.archive import NO_TAR, check_paths, pack_lines, pack_tar, unpack_lines, unpack_tar
from pymachine.transport.carrier import Carrier, SessionRefused, TunnelRefused
from pymachine.transport.channel import Exchange, Password
from pymachine.transport.command import Command
from pymachine.transport.paramiko_carrier import lost
from pymachine.transport.paramiko_errors import vendor_errors
from pymachine.transport.shell import Line, plain_line, root_line
from pymachine.transport.slots import Slots
from pymachine.transport.sudo import SudoPassword

MAX_SESSIONS = 10  # sshd's default limit of commands at a time on one connection
SESSION_PATIENCE = 10.0  # seconds to wait for one of them to end
SESSION_PAUSE = 0.05
TUNNEL_DEADLINE = 10.0
ROOT = "root"

_log = logging.getLogger(__name__)


class SshTransport:
    """One connection to one host; several threads may use it at a time.

    ``carrier`` is what speaks SSH. The log has a line for each command and upload, ``trip N:`` and the command,
    masked; never its input.
    """

    def __init__(self, carrier: Carrier, address: SshAddress, asker: Asker) -> None:
        self._carrier = carrier
        self._address = address
        self._where = place(address.host, address.port or 0)
        self._password = SudoPassword(asker, f"{address.user}@{self._where}")
        self._slots = Slots(MAX_SESSIONS)
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
        silence: float | None = None,
    ) -> Result:
        """Run a command under POSIX sh and wait for it to finish, at most ``deadline`` seconds.

        As root it goes through sudo, or doas, unless root logged in. A command whose time is up, that keeps
        ``silence`` longer, or whose caller was interrupted loses its channel, but may go on at the host. Of each
        output the last 16 MiB are kept.
        Raises ``DeadlineExceeded``, ``Unreachable``, ``SudoFailed``, or ``TransportError`` for an account that may
        not run commands.
        """
        through_sudo = root and self._address.user != ROOT
        line = (root_line if through_sudo else plain_line)(command)
        trip = self._count()
        asked = _Asked(
            line, f"`{command.masked()[:80]}` on {self._where}", Deadline(deadline), stdin, on_line, silence
        )
        _log.debug("%s: trip %d: %s%s", self._where, trip, "as root: " if root else "", command.masked())
        with vendor_errors(f"running a command on {self._where}"):
            result = self._run(asked, self._password.answer if through_sudo else None)
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

    def tunnel(self, host: str, port: int) -> Tunnel:
        """Open a TCP connection from the host to ``host:port``, carried by this one.

        Raises ``Unreachable`` where nothing accepts it there within 10 s.
        """
        goal = place(host, port)
        with vendor_errors(f"opening a tunnel to {goal} through {self._where}"):
            try:
                return self._carrier.tunnel(host, port, TUNNEL_DEADLINE)
            except TunnelRefused as error:
                raise Unreachable(
                    f"{self._where} cannot reach {goal}: {error}",
                    hint="nothing listens there, or sshd forbids it (AllowTcpForwarding)",
                ) from error

    def close(self) -> None:
        """End the connection, and those to the jump hosts; safe to call twice."""
        self._carrier.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, asked: _Asked, password: Password | None) -> Result:
        """Run it when there is a session for it: the host may allow fewer than we do.

        sshd counts a session until it has seen the end of it, and others of ours end as well. So one that is refused
        is asked for again: while others are open until its own deadline, alone for some seconds.
        """
        patience = Deadline(SESSION_PATIENCE)
        while True:
            try:
                return self._tried(asked, password)
            except TimeoutError as error:
                if not asked.limit.passed:
                    raise
                raise DeadlineExceeded(
                    f"{asked.what} found no free session within {asked.limit.seconds:g} s"
                ) from error
            except SessionRefused as error:
                patience = patience if self._slots.taken == 0 else Deadline(SESSION_PATIENCE)
                if patience.passed or asked.limit.passed:
                    raise self._refused(str(error)) from error
            asked.limit.pause(SESSION_PAUSE)

    def _tried(self, asked: _Asked, password: Password | None) -> Result:
        with self._slots.one(asked.limit):
            if not self._carrier.active:
                raise lost(self._where)
            channel = self._carrier.open_channel(asked.limit.left)
            exchange = Exchange(channel, asked.line, deadline=asked.limit, what=asked.what, silence=asked.silence)
            return exchange.run(asked.stdin, on_line=asked.on_line, password=password)

    def _refused(self, reason: str) -> Unreachable:
        return Unreachable(
            f"{self._where} opens no session: {reason}",
            hint="MaxSessions in its sshd_config limits them; another login may use them up",
        )

    def _count(self) -> int:
        with self._count_lock:
            self._trips += 1
            return self._trips


@dataclass(frozen=True, slots=True)
class _Asked:
    """A command on its way: as it is sent, what it is called in messages, by when, and with what input."""

    line: Line
    what: str
    limit: Deadline
    stdin: bytes
    on_line: OnLine | None
    silence: float | None
