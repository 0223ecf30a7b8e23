"""Which address we come from, as a page sees it and as the kernel would choose it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from patience import LIMIT
from pymachine.errors import DriverError, Unreachable
from pymachine_aws.public_address import cidr_of, public_cidrs, source_cidr


@contextmanager
def page(body: bytes, status: int = 200, wait: threading.Event | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]
            """Print nothing."""

        def do_GET(self) -> None:
            if wait is not None:
                wait.wait(LIMIT)
                return
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        if wait is not None:
            wait.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.parametrize(
    ("body", "cidr"), [(b"203.0.113.9\n", "203.0.113.9/32"), (b"2001:db8::9\n", "2001:db8::9/128")]
)
def test_the_pages_answer_is_a_range_of_one_address(body: bytes, cidr: str) -> None:
    with page(body) as url:
        assert public_cidrs(url) == (cidr,)


@pytest.mark.parametrize(
    "body", [b"", b"<html>sign in</html>", b"203.0.113.9 203.0.113.10", b"0.0.0.0/0", b"\xff\xfe"]
)
def test_anything_else_is_refused_with_the_option_that_replaces_it(body: bytes) -> None:
    with page(body) as url, pytest.raises(DriverError, match="address") as failed:
        public_cidrs(url)
    assert "--aws-allow" in str(failed.value.hint)


@pytest.mark.parametrize("answer", ["0.0.0.0", "::", "224.0.0.1"])
def test_an_address_from_which_nobody_comes_would_open_to_all_or_none(answer: str) -> None:
    with pytest.raises(DriverError, match=" public address"):
        cidr_of(answer, "the page")


def test_a_page_that_refuses_is_named_with_its_status() -> None:
    with page(b"no", 403) as url, pytest.raises(DriverError, match="HTTP 403"):
        public_cidrs(url)


def test_a_page_that_is_silent_is_given_up_in_time() -> None:
    with page(b"", wait=threading.Event()) as url, pytest.raises(Unreachable) as failed:
        public_cidrs(url, deadline=0.2)
    assert "--aws-allow" in str(failed.value.hint)


def test_a_page_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="address"):
        public_cidrs("http://127.0.0.1:1/", deadline=2.0)


def test_the_kernel_tells_from_which_address_it_would_talk() -> None:
    assert source_cidr("127.0.0.1") == "127.0.0.1/32"
