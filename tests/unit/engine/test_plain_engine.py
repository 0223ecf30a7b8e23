"""An engine that takes no certificates is asked in plain HTTP, by every command that asks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from pymachine.cli import main

VERSION = json.dumps({"Version": "26.1.5", "ApiVersion": "1.45"}).encode()
Run = Callable[..., int]


class _Engine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert self.path == "/version"
        self.send_response(200)
        self.send_header("Content-Length", str(len(VERSION)))
        self.end_headers()
        self.wfile.write(VERSION)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@pytest.fixture
def engine() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Engine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def run(engine: HTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, on a store that knows the engine as node1."""

    def run(*words: str) -> int:
        return main(["-s", str(tmp_path), *words])

    assert (
        run("create", "--progress", "none", "-d", "none", "--url", f"tcp://127.0.0.1:{engine.server_port}", "node1")
        == 0
    )
    capsys.readouterr()
    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("version", "node1"), "26.1.5"),
        (("status", "node1"), "Running"),
        (("env", "--shell", "sh", "--check", "node1"), "DOCKER_HOST"),
        (("config", "--check", "node1"), "-H=tcp://127.0.0.1:"),
        (("ls", "--json"), '"26.1.5"'),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_it_answers(words: tuple[str, ...], said: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 0
    shown = capsys.readouterr()
    assert said in shown.out
    assert shown.err == ""


def test_that_is_gone_is_an_error(run: Run, engine: HTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    engine.socket.close()
    assert run("version", "node1") == 1
    assert "error: " in capsys.readouterr().err
