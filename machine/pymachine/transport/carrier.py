"""The interface of a logged-in connection for commands and tunnels, for any implementation of SSH."""

from __future__ import annotations

from typing import Protocol

from pymachine.transport import Tunnel


class SessionRefused(Exception):
    """The host opens no further session now, and no part of the command was run. ``str`` is the host's reason."""


class Channel(Protocol):
    """One session on a connection. It runs one line; no call waits longer than its limit."""

    @property
    def active(self) -> bool:
        """Whether the underlying connection is alive."""

    @property
    def ended(self) -> bool:
        """Whether both outputs have ended, once their data has been read."""

    def start(self, line: str, seconds: float) -> None:
        """Run the line. Raises ``SessionRefused``, ``TimeoutError``, or what ``vendor_errors`` knows."""

    def wait(self, seconds: float) -> None:
        """Return when there may be something to read, or after this many seconds."""

    def read(self) -> bytes:
        """Return the available standard output, empty if there is none now."""

    def read_error(self) -> bytes:
        """Return the available standard error, empty if there is none now."""

    def write(self, data: bytes) -> int:
        """Send as much of ``data`` as possible now, and return the number of bytes.

        Raises ``OSError`` if nobody reads it.
        """

    def close_input(self) -> None:
        """End standard input."""

    def status(self, seconds: float) -> int | None:
        """Return the exit code, waiting for this many seconds; None if none came."""

    def close(self) -> None:
        """Close it, and the command's outputs with it."""


class Carrier(Protocol):
    """A logged-in connection."""

    @property
    def active(self) -> bool:
        """Whether it is alive, as far as is known."""

    def open_channel(self, seconds: float) -> Channel:
        """Return a new session. Raises ``SessionRefused``, ``Unreachable``, or what ``vendor_errors`` knows."""

    def tunnel(self, host: str, port: int, seconds: float) -> Tunnel:
        """Open a TCP connection from the host. Raises ``TunnelRefused``, or what ``vendor_errors`` knows."""

    def close(self) -> None:
        """Close it; safe to call twice."""


class TunnelRefused(Exception):
    """The host did not connect to the target of a tunnel. ``str`` is the host's reason."""
