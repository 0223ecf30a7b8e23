"""The protocol of OpenSSH's ControlMaster socket: new sessions and tunnels on a connection that is there.

As PROTOCOL.mux in OpenSSH's sources has it, version 4, which every release since 5.4 speaks: each message is a
counted string, numbers are 32 bits in network order, and file descriptors travel one by one, each beside one byte of
data.
"""

from __future__ import annotations

import select
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from pymachine.clock import Deadline
from pymachine.transport.carrier import SessionRefused

VERSION = 4
_HELLO = 0x00000001
_NEW_SESSION = 0x10000002
_NEW_STDIO_FORWARD = 0x10000008
_DENIED = 0x80000002
_FAILURE = 0x80000003
_EXIT = 0x80000004
_OPENED = 0x80000006
_NO_ESCAPE = 0xFFFFFFFF
_LONGEST = 256 * 1024  # bytes of a message, as in mux.c's own limit on channel messages


class MuxFault(OSError):
    """The other end of the socket closed it, or does not use the protocol."""


@dataclass(frozen=True, slots=True)
class _Message:
    kind: int
    body: bytes

    def number(self, place: int) -> int:
        """Return the number at a place, counted in numbers from the kind on."""
        try:
            return int(struct.unpack_from(">I", self.body, 4 * place)[0])
        except struct.error as error:
            raise MuxFault("the ssh master sent a message that is cut short") from error

    @property
    def reason(self) -> str:
        """The text of a refusal: a counted string after the request's number."""
        return self.body[8 : 8 + self.number(1)].decode(errors="replace")


class MuxClient:
    """One connection to a master's socket, for one session or one tunnel."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._limit = Deadline(seconds)
        self._buffer = b""
        self.exit_code: int | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(self._left)
            self._socket.connect(str(path))
            self._send(_HELLO, struct.pack(">I", VERSION))
            hello = self._await_message()
            if hello.kind != _HELLO or hello.number(0) != VERSION:
                raise MuxFault("the ssh master uses another protocol")
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor to poll: it is readable when the session has ended."""
        return self._socket.fileno()

    def open_session(self, line: str, descriptors: tuple[int, int, int], seconds: float) -> None:
        """Run a line with these for its input, output and errors. Raises ``SessionRefused``, ``MuxFault``."""
        flags = struct.pack(">IIII", 0, 0, 0, 0)  # no terminal, no X11, no agent, no subsystem
        body = struct.pack(">I", 0) + _string("") + flags + struct.pack(">I", _NO_ESCAPE)
        self._open(_NEW_SESSION, body + _string("") + _string(line), descriptors, seconds)

    def open_tunnel(self, host: str, port: int, descriptors: tuple[int, int], seconds: float) -> None:
        """Have these two be a TCP connection from the host. Raises ``SessionRefused``, ``MuxFault``."""
        body = struct.pack(">I", 0) + _string("") + _string(host) + struct.pack(">I", port)
        self._open(_NEW_STDIO_FORWARD, body, descriptors, seconds)

    def take(self) -> bool:
        """Take what has come without waiting; False when nothing more will."""
        self._socket.setblocking(False)
        try:
            while True:
                message = self._message()
                if message is None:
                    return False
                if message.kind == _EXIT:
                    self.exit_code = message.number(1)
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """Close it; the master ends the session or tunnel."""
        self._socket.close()

    @property
    def _left(self) -> float:
        return self._limit.left

    def _open(self, kind: int, body: bytes, descriptors: tuple[int, ...], seconds: float) -> None:
        self._limit = Deadline(seconds)
        self._send(kind, body)
        for descriptor in descriptors:
            socket.send_fds(self._socket, [b"\0"], [descriptor])
        answer = self._await_message()
        if answer.kind in (_DENIED, _FAILURE):
            raise SessionRefused(answer.reason)
        if answer.kind != _OPENED:
            raise MuxFault(f"the ssh master answered a request with {answer.kind:#x}")

    def _send(self, kind: int, body: bytes) -> None:
        self._socket.settimeout(self._left)
        message = struct.pack(">I", kind) + body
        self._socket.sendall(struct.pack(">I", len(message)) + message)

    def _await_message(self) -> _Message:
        self._socket.settimeout(self._left)
        message = self._message()
        if message is None:
            raise MuxFault("the connection was lost")
        return message

    def _message(self) -> _Message | None:
        """Return the next message, None at the end. What was read of one stays for the next call."""
        while not self._whole:
            data = self._socket.recv(65_536)
            if not data:
                return None
            self._buffer += data
        length = int.from_bytes(self._buffer[:4], "big")
        message, self._buffer = self._buffer[4 : 4 + length], self._buffer[4 + length :]
        return _Message(int.from_bytes(message[:4], "big"), message[4:])

    @property
    def _whole(self) -> bool:
        length = int.from_bytes(self._buffer[:4], "big")
        if length > _LONGEST:
            raise MuxFault(f"the ssh master announced a message of {length} bytes")
        return len(self._buffer) >= 4 and len(self._buffer) >= 4 + length


def readable(descriptors: list[int], seconds: float) -> None:
    """Wait until one of these can be read, or has ended; at most so many seconds."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    poll.poll(max(1, 1000 * seconds))


def _string(text: str) -> bytes:
    data = text.encode(errors="surrogateescape")
    return struct.pack(">I", len(data)) + data
