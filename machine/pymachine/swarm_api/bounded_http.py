"""HTTP for the docker SDK with bounds: an engine's answer takes at most so many seconds and so many bytes.

The SDK and requests bound only the time between two pieces, and of a stream (a service's log) nothing at all. Here
each answer is counted where its bytes come from the socket, below every framing and encoding.
"""

from __future__ import annotations

import http.client
import io
import socket
from typing import Any

from docker import APIClient
from docker.tls import TLSConfig
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from pymachine.clock import Deadline
from pymachine.errors import EngineError, Unreachable
from pymachine.model import Endpoint
from pymachine.strict_json import parse_json

ANSWER_LIMIT = 32 << 20  # bytes, headers included; the document of a task has about three thousand
_PLAIN = ("", "identity")


class BoundedClient(APIClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's client: ``deadline`` seconds and ``ANSWER_LIMIT`` bytes for each answer.

    It follows no redirection, which would carry a join token to another host, and knows no proxy. The SDK's own
    ``__init__`` would read the user's ``~/.docker/config.json``, send its ``HttpHeaders`` to the engine, and fail on
    one of a wrong shape. Its calls raise ``Unreachable`` for an answer that takes too long, ``EngineError`` for one
    that is too large.
    """

    def __init__(self, endpoint: Endpoint, version: str, tls: TLSConfig | None, *, deadline: float) -> None:
        Session.__init__(self)
        scheme = "https" if tls else "http"
        self.base_url = f"{scheme}://{endpoint.url.removeprefix('tcp://')}"
        self.timeout = deadline
        self._version = version
        self._general_configs: dict[str, str] = {}
        self.trust_env = False  # no proxy and no authority of this computer's environment comes between
        self.max_redirects = 0
        self.headers.update({"User-Agent": "pymachine", "Accept-Encoding": "identity"})
        if tls:
            tls.configure_client(self)
        adapter = _BoundedAdapter()
        self.mount("http://", adapter)
        self.mount("https://", adapter)


class _Counted(io.RawIOBase):
    """The incoming bytes of one answer."""

    def __init__(self, sock: socket.socket) -> None:
        # The socket's own file: it keeps the connection open until the answer is read.
        self._incoming = sock.makefile("rb", buffering=0)
        self._sock = sock
        self._patience = sock.gettimeout() or 0.0
        self._limit = Deadline(self._patience)
        self._room = ANSWER_LIMIT

    # typing.override comes with Python 3.12 only.
    def readable(self) -> bool:  # type: ignore[explicit-override]
        return True

    def readinto(self, buffer: Any) -> int:  # type: ignore[explicit-override]
        if self._room <= 0:
            raise EngineError(f"the engine's answer is larger than {ANSWER_LIMIT >> 20} MiB")
        try:
            # Set each time: the SDK takes the limit off for streams.
            self._sock.settimeout(self._limit.left)
            count = self._incoming.readinto(buffer) or 0
        except TimeoutError:
            raise Unreachable(
                f"the engine did not finish its answer within {self._patience:g} s",
                hint="the host may be overloaded or unreachable",
            ) from None
        self._room -= count
        return count

    def close(self) -> None:  # type: ignore[explicit-override]
        self._incoming.close()
        super().close()


class _Wire:
    """As much of a socket as ``http.client.HTTPResponse`` uses."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(_Counted(self._sock))


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(_Wire(sock), *args, **options)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _BoundedResponse


class _TlsConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Answer(Response):
    """An answer whose JSON is read as that of anybody else, and whose text is UTF-8 without a guess."""

    @property
    def apparent_encoding(self) -> str:  # type: ignore[explicit-override]
        return "utf-8"

    def json(self, **_: Any) -> Any:  # type: ignore[explicit-override]
        """Return the value. Raises ``ValueError``; also for an error that is not the API's ``{"message": …}``."""
        value = parse_json(self.content)
        if not self.ok and not (isinstance(value, dict) and isinstance(value.get("message"), str)):
            raise ValueError("it is not an error of the Engine API")
        return value


class _BoundedAdapter(HTTPAdapter):
    """The connections of a session, whose answers are bounded."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # type: ignore[explicit-override]
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:  # type: ignore[explicit-override]
        encoding = str(resp.headers.get("Content-Encoding") or "")
        if encoding not in _PLAIN:  # a small answer could be unpacked to any size
            resp.close()
            raise EngineError(f"the engine answered with Content-Encoding {encoding[:40]!r}, which nobody asked for")
        answer = _Answer()
        vars(answer).update(vars(super().build_response(req, resp)))
        return answer
