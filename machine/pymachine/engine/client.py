"""Asking a Docker engine for its version, over TLS with both sides' certificates. Standard library only."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from pymachine.clock import Deadline
from pymachine.documents import from_document
from pymachine.engine import tls_errors
from pymachine.errors import EngineError, Unreachable
from pymachine.model import Endpoint
from pymachine.strict_json import parse_json
from pymachine.transport.dial import dial

# An engine gets this share of the time for a machine; with the rest the driver is asked why it did not answer.
ENGINE_SHARE = 0.6
ANSWER_LIMIT = 1 << 20  # bytes, headers included; an engine's answer has about two thousand
TEXT_LIMIT = 128  # characters of a version or a platform


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """What an engine says of itself, and how many ``seconds`` it took from the first packet on."""

    version: str
    api_version: str
    min_api_version: str
    os: str
    arch: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Version:
    """What ``GET /version`` answers, by the names that the Engine API gives to the parts."""

    Version: str
    ApiVersion: str
    MinAPIVersion: str = ""
    Os: str = ""
    Arch: str = ""

    def __post_init__(self) -> None:
        longest = max(len(getattr(self, f.name)) for f in fields(self))
        if longest > TEXT_LIMIT:
            raise ValueError(f"a text of {longest} characters")


def ask(
    endpoint: Endpoint, folder: Path | None, *, deadline: float, sock: socket.socket | None = None
) -> EngineAnswer:
    """Ask for the version; look-up, connection, handshake and answer together take at most ``deadline`` seconds.

    ``folder`` holds ``ca.pem``, ``cert.pem`` and ``key.pem``; None asks without TLS. ``sock`` is a connection made
    already; it is closed. Raises ``Unreachable`` where nothing answers in time, ``TlsError`` saying which certificate
    is at fault, ``EngineError`` for an answer that is not an engine's.
    """
    clock = _Clock(endpoint, deadline)
    context = tls_errors.client_context(folder) if folder is not None else None
    with clock.watching(), _connected(endpoint, clock, sock) as plain:
        if context is None or folder is None:
            return _answer(plain, endpoint, clock)
        with tls_errors.explained(endpoint, folder, context, clock.left):
            secured = _secured(plain, endpoint, context, clock)
        with secured, tls_errors.explained(endpoint, folder, context, clock.left):
            return _answer(secured, endpoint, clock)


class _Clock:
    """How much of the deadline is left."""

    def __init__(self, endpoint: Endpoint, deadline: float) -> None:
        self._url = endpoint.url
        self._limit = Deadline(deadline)

    @property
    def spent(self) -> float:
        return self._limit.spent

    def left(self) -> float:
        """Return the seconds left. Raises ``TimeoutError`` if there are none: zero would mean "do not wait"."""
        if self._limit.passed:
            raise TimeoutError
        return self._limit.left

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Turn a timeout in the block into ``Unreachable``."""
        try:
            yield
        except TimeoutError as error:
            raise Unreachable(
                f"{self._url} did not finish its answer within {self._limit.seconds:g} s",
                hint="the host may be overloaded, or something else listens there; a longer --timeout waits longer",
            ) from error


class _Timed(io.RawIOBase):
    """A socket's incoming bytes: ``ANSWER_LIMIT`` at most, and one deadline for all of them."""

    def __init__(self, sock: socket.socket, clock: _Clock) -> None:
        self._sock = sock
        self._clock = clock
        self._room = ANSWER_LIMIT

    # typing.override comes with Python 3.12 only.
    def readable(self) -> bool:  # type: ignore[explicit-override]
        return True

    def readinto(self, buffer: Any) -> int:  # type: ignore[explicit-override]
        # Whatever the framing says (http.client reads a chunk of size -1 to the end), no more than this is taken.
        if self._room <= 0:
            raise http.client.HTTPException(f"an answer of more than {ANSWER_LIMIT >> 20} MiB")
        self._sock.settimeout(self._clock.left())
        count = self._sock.recv_into(buffer)
        self._room -= count
        return count


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
    return context.wrap_socket(plain, server_hostname=tls_errors.server_name(endpoint))


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
    except (http.client.HTTPException, ConnectionError, ValueError) as error:  # ValueError: a size that is not one
        raise EngineError(
            f"{endpoint.url} closed the connection or did not speak HTTP: {error or type(error).__name__}",
            hint="the engine may just be restarting, or something else listens there",
        ) from error
    finally:
        response.close()


def _parsed(body: bytes, endpoint: Endpoint, seconds: float) -> EngineAnswer:
    try:
        said = from_document(_Version, parse_json(body))
    except (ValueError, TypeError) as error:
        raise EngineError(
            f"{endpoint.url} is not a Docker engine: it answered {_first_line(body)!r}",
            hint="check the port: something else listens there",
        ) from error
    return EngineAnswer(said.Version, said.ApiVersion, said.MinAPIVersion, said.Os, said.Arch, seconds)


def _hint_for(status: int, body: bytes) -> str | None:
    if b"HTTP request to an HTTPS server" in body:
        return "it requires TLS: give certificates"
    if status in (http.HTTPStatus.FORBIDDEN, http.HTTPStatus.UNAUTHORIZED):
        return "an authorization plugin or a proxy in front of the engine refuses this client"
    return None


def _first_line(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    return text.splitlines()[0][:200] if text else "nothing"
