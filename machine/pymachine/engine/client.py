"""Asking a Docker engine for its version, over TLS with both sides' certificates. Standard library only."""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pymachine.engine import tlsfaults
from pymachine.errors import EngineError, Unreachable
from pymachine.model import Endpoint
from pymachine.transport.dial import dial

ANSWER_LIMIT = 1 << 20  # bytes; an engine's answer has about two thousand


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """What an engine says of itself, and how many ``seconds`` it took from the first packet on."""

    version: str
    api_version: str
    min_api_version: str
    os: str
    arch: str
    seconds: float


def ask(
    endpoint: Endpoint, folder: Path | None, *, deadline: float, sock: socket.socket | None = None
) -> EngineAnswer:
    """Ask for the version; look-up, connection, handshake and answer together take at most ``deadline`` seconds.

    ``folder`` holds ``ca.pem``, ``cert.pem`` and ``key.pem``; None asks without TLS. ``sock`` is a connection made
    already; it is closed. Raises ``Unreachable`` where nothing answers in time, ``TlsError`` saying which certificate
    is at fault, ``EngineError`` for an answer that is not an engine's.
    """
    clock = _Clock(endpoint, deadline)
    context = tlsfaults.client_context(folder) if folder is not None else None
    with clock.watching(), _connected(endpoint, clock, sock) as plain:
        if context is None or folder is None:
            return _answer(plain, endpoint, clock)
        with tlsfaults.explained(endpoint, folder, context, clock.left):
            secured = _secured(plain, endpoint, context, clock)
        with secured, tlsfaults.explained(endpoint, folder, context, clock.left):
            return _answer(secured, endpoint, clock)


class _Clock:
    """How much of the deadline is left."""

    def __init__(self, endpoint: Endpoint, deadline: float) -> None:
        self._url = endpoint.url
        self._deadline = deadline
        self._began = time.monotonic()

    @property
    def spent(self) -> float:
        return time.monotonic() - self._began

    def left(self) -> float:
        """Return the seconds left. Raises ``TimeoutError`` if there are none: zero would mean "do not wait"."""
        left = self._deadline - self.spent
        if left <= 0:
            raise TimeoutError
        return left

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Turn a timeout in the block into ``Unreachable``."""
        try:
            yield
        except TimeoutError as error:
            raise Unreachable(
                f"{self._url} did not finish its answer within {self._deadline:g} s",
                hint="the host may be overloaded, or something else listens there; a longer --timeout waits longer",
            ) from error


class _Timed(io.RawIOBase):
    """A socket's incoming bytes, each wait bounded by what is left of one deadline for all of them."""

    def __init__(self, sock: socket.socket, clock: _Clock) -> None:
        self._sock = sock
        self._clock = clock

    # typing.override comes with Python 3.12 only.
    def readable(self) -> bool:  # type: ignore[explicit-override]
        return True

    def readinto(self, buffer: Any) -> int:  # type: ignore[explicit-override]
        self._sock.settimeout(self._clock.left())
        return self._sock.recv_into(buffer)


class _Wire:
    """As much of a socket as ``http.client.HTTPResponse`` uses."""

    def __init__(self, sock: socket.socket, clock: _Clock) -> None:
        self._incoming = _Timed(sock, clock)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(self._incoming)


@contextmanager
def _connected(endpoint: Endpoint, clock: _Clock, sock: socket.socket | None) -> Iterator[socket.socket]:
    with sock or dial(endpoint.host, endpoint.port, deadline=clock.left()) as plain:
        yield plain


def _secured(plain: socket.socket, endpoint: Endpoint, context: ssl.SSLContext, clock: _Clock) -> ssl.SSLSocket:
    plain.settimeout(clock.left())  # one deadline for the whole handshake: CPython counts down over its packets
    return context.wrap_socket(plain, server_hostname=tlsfaults.server_name(endpoint))


def _answer(sock: socket.socket, endpoint: Endpoint, clock: _Clock) -> EngineAnswer:
    # A server that refuses the client's certificate may have closed already. Its alert is still there to be read.
    with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
        sock.settimeout(clock.left())
        sock.sendall(_request(endpoint))
    status, body = _response(sock, endpoint, clock)
    if status != http.HTTPStatus.OK:
        raise EngineError(f"{endpoint.url} answered {status}: {_first_line(body)}", hint=_hint_for(status, body))
    return _parsed(body, endpoint, clock.spent)


def _request(endpoint: Endpoint) -> bytes:
    host = endpoint.url.removeprefix("tcp://")
    return f"GET /version HTTP/1.1\r\nHost: {host}\r\nUser-Agent: pymachine\r\nConnection: close\r\n\r\n".encode()


def _response(sock: socket.socket, endpoint: Endpoint, clock: _Clock) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(cast(socket.socket, _Wire(sock, clock)), method="GET")
    try:
        response.begin()
        return response.status, response.read(ANSWER_LIMIT)
    except (http.client.HTTPException, ConnectionError) as error:
        raise EngineError(
            f"{endpoint.url} closed the connection or spoke no HTTP: {error or type(error).__name__}",
            hint="the engine may just be restarting, or something else listens there",
        ) from error
    finally:
        response.close()


def _parsed(body: bytes, endpoint: Endpoint, seconds: float) -> EngineAnswer:
    try:
        said = json.loads(body)
        return EngineAnswer(
            version=str(said["Version"]),
            api_version=str(said["ApiVersion"]),
            min_api_version=str(said.get("MinAPIVersion", "")),
            os=str(said.get("Os", "")),
            arch=str(said.get("Arch", "")),
            seconds=seconds,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"{endpoint.url} is no Docker engine: it answered {_first_line(body)!r}",
            hint="check the port: something else listens there",
        ) from error


def _hint_for(status: int, body: bytes) -> str | None:
    if b"HTTP request to an HTTPS server" in body:
        return "it wants TLS: give certificates"
    if status in (http.HTTPStatus.FORBIDDEN, http.HTTPStatus.UNAUTHORIZED):
        return "an authorization plugin or a proxy in front of the engine refuses this client"
    return None


def _first_line(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    return text.splitlines()[0][:200] if text else "nothing"
