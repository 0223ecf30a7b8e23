"""The interface for running commands and placing files on a host; ``transport.ssh`` implements it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from pymachine.model import SshAddress
from pymachine.transport.command import Command, Secret

__all__ = ["Command", "RemoteFile", "Result", "Secret", "Transport", "Tunnel"]

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a command. A non-zero ``exit_code`` is data, not an error."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 are replaced."""
        return self.stdout.decode(errors="replace")

    @property
    def error_text(self) -> str:
        """Standard error as text; bytes that are not UTF-8 are replaced."""
        return self.stderr.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to place on a host; ``path`` is absolute, or relative to the folder it is uploaded into."""

    path: str
    content: bytes
    mode: int = 0o644


class Tunnel(Protocol):
    """A TCP connection over another one; as much of a socket as a byte stream needs."""

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``."""

    def recv(self, limit: int) -> bytes:
        """Return up to ``limit`` bytes, none at the end of the stream."""

    def settimeout(self, seconds: float | None) -> None:
        """Limit each later call."""

    def close(self) -> None:
        """Close it."""


class Transport(Protocol):
    """One connection to one host.

    ``address`` is complete: resolved host, port, user, and the host key as a public key line. ``trips`` counts the
    commands and transfers so far.
    """

    @property
    def address(self) -> SshAddress:
        """The resolved address, with the host key that was seen."""

    @property
    def trips(self) -> int:
        """The number of commands and transfers on this connection."""

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

        ``root`` runs it as root: directly for uid 0, else through sudo. ``on_line`` gets each line of standard
        output as it comes, and what there is of the last one at the end. With ``silence``, no more than so many
        seconds may pass without any output. Raises ``DeadlineExceeded``, ``Unreachable`` or ``SudoFailed``.
        """

    def upload(self, files: Sequence[RemoteFile], folder: str, *, deadline: float = 120.0) -> None:
        """Place the files below ``folder`` (created with 0700, owner root) in one transfer, with their modes.

        Contents are sent on standard input only. Raises as ``run``, and ``RemoteCommandFailed``.
        """

    def tunnel(self, host: str, port: int) -> Tunnel:
        """Open a TCP connection from the host to ``host:port``, carried by this one.

        Raises ``Unreachable`` where nothing accepts it there.
        """

    def close(self) -> None:
        """Close the connection; safe to call twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
