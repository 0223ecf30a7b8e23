"""A logged-in connection as far as commands and tunnels need one, whoever speaks SSH on it."""

from __future__ import annotations

from typing import Protocol

from pymachine.transport import Tunnel


class SessionRefused(Exception):
    """The host opens no further session now, and nothing of the command was run. ``str`` is the reason it gave."""


class Channel(Protocol):
    """One session on a connection. It runs one line; nothing of it waits longer than it is told to."""

    @property
    def active(self) -> bool:
        """Whether the connection under it is there."""

    @property
    def ended(self) -> bool:
        """Whether neither output has more to come, when what is there has been read."""

    def start(self, line: str, seconds: float) -> None:
        """Run the line. Raises ``SessionRefused``, ``TimeoutError``, or what ``vendor_errors`` knows."""

    def wait(self, seconds: float) -> None:
        """Return when there may be something to read; at the latest after so many seconds."""

    def read(self) -> bytes:
        """Return what is there of standard output, nothing where there is none now."""

    def read_error(self) -> bytes:
        """The same of standard error."""

    def write(self, data: bytes) -> int:
        """Take what of ``data`` can be sent now, and return how much. Raises ``OSError`` where nobody reads it."""

    def close_input(self) -> None:
        """End standard input."""

    def status(self, seconds: float) -> int | None:
        """Return the exit code, waited for so many seconds; None where none came."""

    def close(self) -> None:
        """End it, and the command's outputs with it."""


class Carrier(Protocol):
    """A connection that is logged in."""

    @property
    def active(self) -> bool:
        """Whether it is there, as far as is known."""

    def open_channel(self, seconds: float) -> Channel:
        """Return a new session. Raises ``SessionRefused``, ``Unreachable``, or what ``vendor_errors`` knows."""

    def tunnel(self, host: str, port: int, seconds: float) -> Tunnel:
        """Open a TCP connection from the host. Raises ``TunnelRefused``, or what ``vendor_errors`` knows."""

    def close(self) -> None:
        """End it; safe to call twice."""


class TunnelRefused(Exception):
    """The host did not connect to where a tunnel was to lead. ``str`` is the reason it gave."""
