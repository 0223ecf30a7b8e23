"""paramiko's sessions as a carrier of commands: those to the jump hosts and, last, the one to the host itself."""

from __future__ import annotations

import select
import threading
from collections.abc import Sequence
from contextlib import suppress

import paramiko

from pymachine.errors import Unreachable
from pymachine.transport.carrier import SessionRefused, TunnelRefused

CHUNK = 65_536
_NO_STATUS = -1  # paramiko's exit status where the server sent none


class ParamikoCarrier:
    """The sessions of one connection, the host's own last."""

    def __init__(self, sessions: Sequence[paramiko.Transport]) -> None:
        self._sessions = tuple(sessions)

    @property
    def active(self) -> bool:
        """Whether the last one is there."""
        return self._sessions[-1].is_active()

    def open_channel(self, seconds: float) -> ParamikoChannel:
        """Return a new session. Raises as ``Carrier.open_channel``."""
        try:
            return ParamikoChannel(self._sessions[-1].open_channel("session", timeout=seconds))
        except paramiko.SSHException as error:
            # paramiko keeps one exception for all threads: who comes second finds no ChannelException of a refusal,
            # but its base class.
            if not self.active:
                raise
            raise SessionRefused(str(error)) from error

    def tunnel(self, host: str, port: int, seconds: float) -> paramiko.Channel:
        """Open a TCP connection from the host. Raises as ``Carrier.tunnel``."""
        try:
            return self._sessions[-1].open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=seconds)
        except paramiko.ChannelException as error:
            raise TunnelRefused(error.text) from error

    def close(self) -> None:
        """End all of them; safe to call twice."""
        close_all(self._sessions)


class ParamikoChannel:
    """A channel of paramiko."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._poll = select.poll()

    @property
    def active(self) -> bool:
        """Whether the connection under it is there."""
        return self._channel.get_transport().is_active()

    @property
    def ended(self) -> bool:
        """Whether neither output has more to come."""
        channel = self._channel
        ended = bool(channel.eof_received or channel.closed)
        return ended and not channel.recv_ready() and not channel.recv_stderr_ready()

    def start(self, line: str, seconds: float) -> None:
        """Run the line."""
        # exec_command waits for the server without a limit of its own; closing the channel ends that wait.
        late = threading.Event()

        def end() -> None:
            late.set()
            self._channel.close()

        watchdog = threading.Timer(seconds, end)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._channel.exec_command(line)
        except paramiko.SSHException as error:
            if late.is_set():
                raise TimeoutError from error
            raise
        finally:
            watchdog.cancel()
        self._channel.setblocking(0)
        self._poll.register(self._channel.fileno(), select.POLLIN)

    def wait(self, seconds: float) -> None:
        """Wait for output."""
        self._poll.poll(max(1, 1000 * seconds))

    def read(self) -> bytes:
        """Return what is there of standard output."""
        return self._channel.recv(CHUNK) if self._channel.recv_ready() else b""

    def read_error(self) -> bytes:
        """Return what is there of standard error."""
        return self._channel.recv_stderr(CHUNK) if self._channel.recv_stderr_ready() else b""

    def write(self, data: bytes) -> int:
        """Take what the window has room for."""
        return self._channel.send(data[:CHUNK]) if self._channel.send_ready() else 0

    def close_input(self) -> None:
        """End standard input."""
        self._channel.shutdown_write()

    def status(self, seconds: float) -> int | None:
        """Return the exit code."""
        self._channel.status_event.wait(seconds)
        status = self._channel.exit_status
        return None if status == _NO_STATUS else status

    def close(self) -> None:
        """End it."""
        self._channel.close()


def lost(where: str) -> Unreachable:
    """Return what to raise for a connection that is not there any more."""
    return Unreachable(f"the connection to {where} was lost", hint="run the command again")


def close_all(sessions: Sequence[paramiko.Transport]) -> None:
    """Close sessions, the one that is carried by the others first."""
    for session in reversed(sessions):
        with suppress(Exception):  # what is broken already
            session.close()
