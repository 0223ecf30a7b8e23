"""A host of cloud images on loopback: HTTP with ranges and validators, and the faults that such hosts have."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import override


@dataclass
class ImageHost:
    """What is served, and how it misbehaves. ``asked`` are path and Range header of each request so far.

    ``cuts`` are the numbers of bytes after which the next answers break off; ``ranges`` False ignores Range.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    ranges: bool = True
    etags: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def publish(self, folder: str, name: str, content: bytes, *, algorithm: str = "sha512") -> None:
        """Serve an image with its vendor's list of checksums."""
        digest = hashlib.new(algorithm, content).hexdigest()
        self.files[f"{folder}/{name}"] = content
        self.files[f"{folder}/{algorithm.upper()}SUMS"] = f"{digest}  {name}\n".encode()

    def times(self, name: str) -> int:
        """How often a file of that name was requested."""
        return sum(path.endswith(f"/{name}") for path, _ in self.asked)


class _Handler(BaseHTTPRequestHandler):
    host: ImageHost

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.host.asked.append((self.path, wanted))
        content = self.host.files.get(self.path)
        if self.host.errors:
            self.send_error(self.host.errors.pop(0))
        elif content is None:
            self.send_error(404)
        else:
            self._answer(content, wanted)

    def _answer(self, content: bytes, wanted: str | None) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()[:12]}"'
        begin = 0
        if wanted and self.host.ranges and self.headers.get("If-Range") == tag:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - begin))
        if self.host.etags:
            self.send_header("ETag", tag)
        self.end_headers()
        rest = content[begin:]
        is_image = not self.path.endswith("SUMS")
        self.wfile.write(rest[: self.host.cuts.pop(0)] if is_image and self.host.cuts else rest)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def image_host() -> Iterator[ImageHost]:
    """Serve on a free port until the end."""
    host = ImageHost()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"host": host}))
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
