"""An engine's HTTP API without TLS on loopback: answers from a table, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pymachine.model import Endpoint

Answer = tuple[int, Any]
Asked = tuple[str, str, Any]


class StubEngine:
    """``answers`` maps ``METHOD /path`` (without the version and the query) to answers; the last of them stays.

    Bytes are sent as they are, anything else as JSON.
    """

    def __init__(self, api: str = "1.45", oldest: str = "1.24") -> None:
        version = {"Version": "26.1.5", "ApiVersion": api, "MinAPIVersion": oldest, "Os": "linux", "Arch": "amd64"}
        self.answers: dict[str, list[Answer]] = {"GET /version": [(200, version)]}
        self.asked: list[Asked] = []
        self.versions: list[str] = []
        self.endpoint = Endpoint("127.0.0.1", 1)

    def answer(self, what: str, *answers: Answer) -> None:
        """Answer so from now on."""
        self.answers[what] = list(answers)

    def asked_for(self, what: str) -> list[Asked]:
        """The calls of a method and path, with their query and body."""
        return [asked for asked in self.asked if asked[0] == what]

    def reply(self, method: str, target: str, body: bytes) -> Answer:
        """Keep the question and give its answer."""
        path, _, query = target.partition("?")
        version, _, plain = path[1:].partition("/") if path.startswith("/v1.") else ("", "", path[1:])
        self.versions.append(version)
        what = f"{method} /{plain}"
        self.asked.append((what, query, json.loads(body) if body else None))
        waiting = self.answers.get(what, [(404, {"message": "page not found"})])
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextmanager
def serving(stub: StubEngine) -> Iterator[StubEngine]:
    """Serve it until the block is left."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(stub.reply)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        stub.endpoint = Endpoint("127.0.0.1", server.server_address[1])
        yield stub
        server.shutdown()
        thread.join()


def _handler(reply: Callable[[str, str, bytes], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = reply(self.command, self.path, body)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name in ("do_GET", "do_POST", "do_DELETE"):
                return self._answer
            raise AttributeError(name)

        def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]
            """Say nothing."""

    return Handler
