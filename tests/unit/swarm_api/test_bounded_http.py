"""What a hostile or broken engine answers costs bounded time and memory, and is one error with a name."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from patience import LIMIT
from pymachine.errors import EngineError, Unreachable
from pymachine.model import Endpoint
from pymachine.swarm_api import connect
from pymachine.swarm_api.bounded_http import ANSWER_LIMIT
from pymachine.swarm_api.protocol import ClusterEngine, SwarmInit
from unit.stub_swarm_engine import StubEngine, serving

Reply = Callable[[socket.socket], None]
VERSION = {"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MIB = b"x" * (1 << 20)
PATIENCE = 1.0  # seconds that an answer may take


@contextmanager
def replying(reply: Reply) -> Iterator[Endpoint]:
    """Serve an engine that answers ``/version`` well and everything else with ``reply``."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=_talk, args=(listening.accept()[0], reply), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield Endpoint("127.0.0.1", listening.getsockname()[1])


def _talk(connection: socket.socket, reply: Reply) -> None:
    with connection, suppress(OSError):
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += connection.recv(65536)
        if asked.startswith(b"GET /version"):
            connection.sendall(whole(json.dumps(VERSION).encode()))
        else:
            reply(connection)


def whole(body: bytes, *more: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer with its length."""
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return head + b"".join(more) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def endless(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"\r\n[")
    while True:
        connection.sendall(MIB)


def endless_header(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    while True:
        connection.sendall(b"X-More: 1\r\n")


def negative_chunk(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n")
    while True:
        connection.sendall(MIB)


def dripping(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"\r\n[")
    while True:
        time.sleep(PATIENCE / 10)
        connection.sendall(b" ")


def dripping_header(connection: socket.socket) -> None:
    for byte in HEAD + b"X-Slow: " + b"x" * 1000:
        time.sleep(PATIENCE / 10)
        connection.sendall(bytes([byte]))


def silent(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 10\r\n\r\n[")
    connection.recv(1)  # until the other side gives up


def sent(answer: bytes) -> Reply:
    """A reply of these bytes."""
    return lambda connection: connection.sendall(answer)


@contextmanager
def engine_that(reply: Reply, deadline: float = LIMIT) -> Iterator[ClusterEngine]:
    """Connect to an engine that answers so."""
    with replying(reply) as endpoint, connect(endpoint, None, deadline=deadline) as engine:
        yield engine


ASKED: dict[str, Callable[[ClusterEngine], Any]] = {
    "nodes": lambda engine: engine.nodes(),
    "standing": lambda engine: engine.node_status(),
    "services": lambda engine: engine.services(),
    "logs": lambda engine: engine.logs("s1", 5),
    "container_logs": lambda engine: engine.container_logs("c1", 5),
    "init": lambda engine: engine.init(SwarmInit("192.0.2.7")),
    "leave": lambda engine: engine.leave(),
}


@pytest.mark.parametrize("reply", [endless, negative_chunk])
@pytest.mark.parametrize("asked", ASKED)
def test_an_answer_without_end_is_cut_off(reply: Reply, asked: str) -> None:
    tracemalloc.start()
    try:
        with engine_that(reply) as engine, pytest.raises(EngineError):
            ASKED[asked](engine)
        assert tracemalloc.get_traced_memory()[1] < 6 * ANSWER_LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("reply", [dripping, dripping_header, silent])
@pytest.mark.parametrize("asked", ["nodes", "logs", "leave"])
def test_an_answer_that_drips_ends_with_its_deadline(reply: Reply, asked: str) -> None:
    began = time.monotonic()
    with (
        engine_that(reply, PATIENCE) as engine,
        pytest.raises(Unreachable, match="did not finish its answer within 1 s"),
    ):
        ASKED[asked](engine)
    assert time.monotonic() - began < 8 * PATIENCE


LOG = b'{"ID": "s1", "Spec": {"Name": "n"}}'


def test_a_log_that_goes_on_for_ever_ends_with_the_deadline() -> None:
    asked = iter([whole(LOG)])

    def reply(connection: socket.socket) -> None:
        first = next(asked, None)
        if first is not None:
            connection.sendall(first)
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.recv(1)

    with engine_that(reply, PATIENCE) as engine, pytest.raises(Unreachable):
        engine.logs("s1", 5)


@pytest.mark.parametrize(
    "answer",
    [
        whole(gzip.compress(MIB * 64), b"Content-Encoding: gzip\r\n"),
        whole(gzip.compress(b"[]"), b"Content-Encoding: br, gzip\r\n"),
        whole(b"[" * 200_000),
        whole(b'[{"ID": "\\ud800"}]'),
        whole(b'[{"ID": "' + MIB + b'"}]'),
        whole(b'[{"ID": "n", "Description": {"Hostname": "' + MIB + b'"}}]'),
        whole(b"[NaN]"),
        whole(b"\xff\xfe"),
        whole(b""),
        whole(b"[" + b"9" * 5000 + b"]"),
        whole(b"[1]", status=b"500 no"),
        whole(b'{"message": 5}', status=b"500 no"),
        whole(b'{"no": "message"}', status=b"404 no"),
        whole(b'"text"', status=b"503 no"),
        whole(b"[" * 200_000, status=b"500 no"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD * 60 + b"\r\n[]",
    ],
)
@pytest.mark.parametrize("asked", ["nodes", "standing", "logs", "init"])
def test_a_broken_answer_is_one_error(answer: bytes, asked: str) -> None:
    with engine_that(sent(answer)) as engine, pytest.raises((EngineError, Unreachable)) as failed:
        ASKED[asked](engine)
    assert len(failed.value.message) < 2000


def test_a_long_error_is_cut() -> None:
    answer = whole(json.dumps({"message": "desc = " + "y" * (1 << 22)}).encode(), status=b"500 no")
    with engine_that(sent(answer)) as engine, pytest.raises(EngineError, match="500: yyy") as failed:
        engine.leave()
    assert len(failed.value.message) < 2000


def test_a_redirection_is_not_followed() -> None:
    with serving(StubEngine()) as other:
        other.answer("POST /swarm/init", (200, "n1"))
        place = f"Location: {other.endpoint.url.replace('tcp', 'http')}/v1.45/swarm/init\r\n".encode()
        answer = whole(b"", place, status=b"307 Temporary Redirect")
        with engine_that(sent(answer)) as engine, pytest.raises(EngineError):
            engine.init(SwarmInit("192.0.2.7"))
        assert other.asked == []


@pytest.mark.parametrize("config", ['{"auths": 5}', "[]", '{"HttpHeaders": {"X-Token": "secret"}}', '{"proxies": 5}'])
def test_the_clients_own_configuration_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: str
) -> None:
    (tmp_path / "config.json").write_text(config)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    heads = []

    def reply(connection: socket.socket) -> None:
        heads.append(1)
        connection.sendall(whole(b"[]"))

    with engine_that(reply) as engine:
        assert engine.nodes() == ()
    assert heads
