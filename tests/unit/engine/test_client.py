"""Asking an engine: against real TLS servers on loopback, every way it can go wrong."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from patience import LIMIT, gives_up
from pymachine import tls
from pymachine.engine.client import EngineAnswer, ask
from pymachine.engine.der import validity
from pymachine.errors import EngineError, PymachineError, TlsError, Unreachable
from pymachine.model import Endpoint

NOW = datetime.now(UTC)
VERSION = {"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
DEADLINE = LIMIT

Handle = Callable[[socket.socket], None]
Files = Mapping[str, bytes]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return dict(tls.issue("node1", (), now=NOW).files)


def days(count: float) -> timedelta:
    return timedelta(days=count)


def client_folder(where: Path, files: Files, name: str = "node1") -> Path:
    folder = where / name
    folder.mkdir()
    for file in ("ca.pem", "cert.pem", "key.pem"):
        (folder / file).write_bytes(files[file])
    return folder


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def answering(reply: bytes, requests: list[bytes] | None = None) -> Handle:
    """Return a handler that sends ``reply`` and then keeps the connection open until the other side is done."""

    def handle(connection: socket.socket) -> None:
        request = connection.recv(65536)
        if requests is not None:
            requests.append(request)
        connection.sendall(reply)
        connection.recv(1)

    return handle


def hanging_up(connection: socket.socket) -> None:
    connection.recv(65536)


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def dripping(reply: bytes) -> Handle:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        for byte in reply:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    return handle


VERSION_REPLY = http(json.dumps(VERSION).encode())


def server_context(where: Path, files: Files, clients: bytes) -> ssl.SSLContext:
    folder = where / f"server-{time.monotonic_ns()}"
    folder.mkdir()
    for file in ("server.pem", "server-key.pem"):
        (folder / file).write_bytes(files[file])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    context.load_verify_locations(cadata=clients.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def listening(handle: Handle, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Endpoint]:
    """Serve connections one after another until the block ends."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        thread = threading.Thread(target=serve, args=(server, handle, context), daemon=True)
        thread.start()
        try:
            yield Endpoint(host, server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(LIMIT)
        assert not thread.is_alive()


def serve(server: socket.socket, handle: Handle, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with suppress(OSError), connection:
            connection.settimeout(10)
            if context is None:
                handle(connection)
            else:
                with context.wrap_socket(connection, server_side=True) as secured:
                    handle(secured)


@contextmanager
def engine(
    where: Path, files: Files, handle: Handle | None = None, *, clients: bytes | None = None, host: str = "127.0.0.1"
) -> Iterator[Endpoint]:
    """Serve as an engine with the certificates of ``files``, for clients of the authority ``clients``."""
    context = server_context(where, files, clients or files["ca.pem"])
    with listening(handle or answering(VERSION_REPLY), context, host) as endpoint:
        yield endpoint


def failure(kind: type[PymachineError], endpoint: Endpoint, folder: Path | None, deadline: float = DEADLINE) -> str:
    """Return message and hint of the error, which is exactly of ``kind``."""
    with pytest.raises(PymachineError) as caught:
        ask(endpoint, folder, deadline=deadline)
    assert type(caught.value) is kind, caught.value
    return f"{caught.value.message} | {caught.value.hint}"


def test_an_engine_answers_with_its_version(tmp_path: Path, files: Files) -> None:
    requests: list[bytes] = []
    with engine(tmp_path, files, answering(VERSION_REPLY, requests)) as endpoint:
        answer = ask(endpoint, client_folder(tmp_path, files), deadline=DEADLINE)
    assert answer == EngineAnswer("26.1.5", "1.45", "1.24", "linux", "amd64", answer.seconds)
    assert 0 < answer.seconds < DEADLINE
    assert requests[0].startswith(b"GET /version HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{endpoint.port}\r\n".encode() in requests[0]


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_ipv6_and_names_work_as_well(tmp_path: Path, files: Files, host: str) -> None:
    with engine(tmp_path, files, host="::1" if host == "::1" else "127.0.0.1") as bound:
        assert ask(Endpoint(host, bound.port), client_folder(tmp_path, files), deadline=DEADLINE).version == "26.1.5"


def test_a_chunked_answer_is_read(tmp_path: Path, files: Files) -> None:
    body = json.dumps(VERSION).encode()
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + f"{len(body):x}\r\n".encode()
    with engine(tmp_path, files, answering(reply + body + b"\r\n0\r\n\r\n")) as endpoint:
        assert ask(endpoint, client_folder(tmp_path, files), deadline=DEADLINE).api_version == "1.45"


def test_a_connection_made_already_is_used_and_closed(tmp_path: Path, files: Files) -> None:
    with engine(tmp_path, files) as endpoint:
        ready = socket.create_connection((endpoint.host, endpoint.port))
        elsewhere = Endpoint("127.0.0.1", 9)
        assert ask(elsewhere, client_folder(tmp_path, files), deadline=DEADLINE, sock=ready).os == "linux"
    assert ready.fileno() == -1


def test_without_certificates_plain_http_is_spoken() -> None:
    with listening(answering(VERSION_REPLY)) as endpoint:
        assert ask(endpoint, None, deadline=DEADLINE).version == "26.1.5"


def test_a_closed_port_is_unreachable_and_refused(tmp_path: Path, files: Files) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = Endpoint("127.0.0.1", server.getsockname()[1])
    assert "refused" in failure(Unreachable, endpoint, client_folder(tmp_path, files))


def test_a_port_that_does_not_answer_is_unreachable_in_time(tmp_path: Path, files: Files) -> None:
    folder = client_folder(tmp_path, files)
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = server.getsockname()
        for _ in range(3):  # once the queue is full, the kernel drops what comes
            crowd = stack.enter_context(socket.socket())
            crowd.setblocking(False)
            crowd.connect_ex(address)
        with gives_up():
            assert str(address[1]) in failure(Unreachable, Endpoint(*address), folder, 0.5)


@pytest.mark.parametrize("how", ["no handshake", "no answer", "drip"])
def test_a_slow_server_cannot_exceed_the_deadline(tmp_path: Path, files: Files, how: str) -> None:
    folder = client_folder(tmp_path, files)
    slow = dripping(VERSION_REPLY) if how == "drip" else silent
    serving = listening(silent) if how == "no handshake" else engine(tmp_path, files, slow)
    with serving as endpoint, gives_up():
        assert "0.5 s" in failure(Unreachable, endpoint, folder, 0.5)


def test_an_expired_server_certificate_is_named(tmp_path: Path, files: Files) -> None:
    old = {**files, **tls.reissue_server("node1", (), files, NOW - days(398)).files}
    with engine(tmp_path, old) as endpoint:
        said = failure(TlsError, endpoint, client_folder(tmp_path, files))
    assert endpoint.url in said
    assert "expired" in said
    assert "`pymachine provision node1`" in said


def test_a_server_certificate_of_tomorrow_speaks_of_clocks(tmp_path: Path, files: Files) -> None:
    early = {**files, **tls.reissue_server("node1", (), files, NOW + days(1)).files}
    with engine(tmp_path, early) as endpoint:
        said = failure(TlsError, endpoint, client_folder(tmp_path, files))
    assert "clock" in said


def test_a_wrong_address_is_named_with_those_of_the_certificate(tmp_path: Path, files: Files) -> None:
    with engine(tmp_path, files, host="127.0.0.2") as endpoint:
        said = failure(TlsError, endpoint, client_folder(tmp_path, files))
    assert "127.0.0.2, only node1, localhost, 127.0.0.1" in said
    assert "`pymachine provision node1`" in said
    assert "--tls-san 127.0.0.2" in said


def test_another_engine_is_told_from_ours(tmp_path: Path, files: Files) -> None:
    with engine(tmp_path, tls.issue("node1", (), now=NOW).files) as endpoint:
        said = failure(TlsError, endpoint, client_folder(tmp_path, files))
    assert endpoint.url.removeprefix("https://") in said
    assert "another" in said


def test_another_engine_sees_no_request(tmp_path: Path, files: Files) -> None:
    requests: list[bytes] = []
    other = tls.issue("node1", (), now=NOW).files
    with engine(tmp_path, other, answering(VERSION_REPLY, requests), clients=files["ca.pem"]) as endpoint:
        failure(TlsError, endpoint, client_folder(tmp_path, files))
    assert requests == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_the_engine_refuses_is_told_so(tmp_path: Path, files: Files, version: ssl.TLSVersion) -> None:
    context = server_context(tmp_path, files, tls.issue("node2", (), now=NOW).files["ca.pem"])
    context.minimum_version = context.maximum_version = version
    with listening(answering(VERSION_REPLY), context) as endpoint:
        said = failure(TlsError, endpoint, client_folder(tmp_path, files))
    assert endpoint.url in said
    assert "refused" in said


def test_an_expired_client_certificate_is_found_before_the_network(tmp_path: Path) -> None:
    old = tls.issue("node1", (), now=NOW - days(366)).files
    said = failure(TlsError, Endpoint("127.0.0.1", 9), client_folder(tmp_path, old))
    assert f"{NOW - days(1) - timedelta(hours=1):%Y-%m-%d}" in said
    assert "client certificate" in said


def test_an_expired_authority_is_named(tmp_path: Path, files: Files) -> None:
    old = tls.issue("node1", (), now=NOW - days(3651)).files
    folder = client_folder(tmp_path, {**files, "ca.pem": old["ca.pem"]})
    said = failure(TlsError, Endpoint("127.0.0.1", 9), folder)
    assert "authority" in said
    assert "expired" in said


@pytest.mark.parametrize("lost", ["ca.pem", "cert.pem", "key.pem"])
def test_a_missing_file_is_named(tmp_path: Path, files: Files, lost: str) -> None:
    folder = client_folder(tmp_path, files)
    (folder / lost).unlink()
    assert f"lacks {lost}" in failure(TlsError, Endpoint("127.0.0.1", 9), folder)


def test_a_key_of_another_certificate_is_found(tmp_path: Path, files: Files) -> None:
    other = tls.issue("node1", (), now=NOW).files
    folder = client_folder(tmp_path, {**files, "key.pem": other["key.pem"]})
    assert "key values mismatch" in failure(TlsError, Endpoint("127.0.0.1", 9), folder)


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, files: Files, content: bytes) -> None:
    folder = client_folder(tmp_path, {**files, "cert.pem": content})
    said = failure(TlsError, Endpoint("127.0.0.1", 9), folder)
    assert "cert.pem" in said


@pytest.mark.parametrize(
    "greeting", [http(b"Client sent an HTTP request", "400 Bad Request"), b"SSH-2.0-OpenSSH_9.2p1\r\n"]
)
def test_a_port_without_tls_is_named(tmp_path: Path, files: Files, greeting: bytes) -> None:
    with listening(answering(greeting)) as endpoint:
        said = failure(TlsError, endpoint, client_folder(tmp_path, files))
    assert endpoint.url in said
    assert "TLS" in said


def test_a_port_that_hangs_up_in_the_handshake_is_no_engine(tmp_path: Path, files: Files) -> None:
    with listening(hanging_up) as endpoint:
        said = failure(EngineError, endpoint, client_folder(tmp_path, files))
    assert endpoint.url.partition("://")[2] in said
    assert "closed" in said


def version(**parts: object) -> bytes:
    """The body of an answer to /version, with other parts."""
    return json.dumps({"Version": "26.1.5", "ApiVersion": "1.45", **parts}).encode()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (http(b"<html>hello</html>"), "'<html>hello</html>'"),
        (http(b"[]"), "Docker engine: "),
        (http(b"null"), "Docker engine: "),
        (http(b'{"Version": "1"}'), "Docker engine: "),
        (http(b"\xff\xfe"), "Docker engine: "),
        (http(b""), "it answered 'nothing'"),
        (http(b'{"message":"no"}', "403 Forbidden"), "answered 403"),
        (http(b"", "503 Service Unavailable"), "answered 503: nothing"),
        (b"220 mail.example.org ESMTP\r\n\r\n", " HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", " HTTP"),
        (http(version(Version="1" * 1_000_000)), "Docker engine: "),
        (http(version(Version=["26.1.5"])), "Docker engine: "),
        (http(version(Os="\ud800")), "Docker engine: "),
        (http(b"[" * 200_000), "Docker engine: "),
        (http(b"{" + b'"a":' * 1000), "Docker engine: "),
    ],
)
def test_an_answer_that_is_no_engines_is_shown(tmp_path: Path, files: Files, reply: bytes, said: str) -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(reply)

    with engine(tmp_path, files, handle) as endpoint:
        assert said in failure(EngineError, endpoint, client_folder(tmp_path, files))


@pytest.mark.parametrize(
    "framing",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: ",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"",
    ],
)
def test_no_framing_makes_more_than_a_mebibyte_be_read(tmp_path: Path, files: Files, framing: bytes) -> None:
    sent = 0

    def handle(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(65536)
        connection.settimeout(30)
        piece = framing * (65536 // len(framing)) if b"Continue" in framing else b"x" * 65536
        with suppress(OSError):
            connection.sendall(framing)
            while sent < 64 << 20:
                connection.sendall(piece)
                sent += len(piece)

    with engine(tmp_path, files, handle) as endpoint:
        failure(EngineError, endpoint, client_folder(tmp_path, files))
    assert sent < 32 << 20, "what the kernel holds on both sides of the loopback is a few MiB"


def test_an_engine_that_hangs_up_says_so(tmp_path: Path, files: Files) -> None:
    with engine(tmp_path, files, hanging_up) as endpoint:
        assert "closed" in failure(EngineError, endpoint, client_folder(tmp_path, files))


def test_tls_asked_in_plain_http_says_what_is_wanted() -> None:
    reply = http(b"Client sent an HTTP request to an HTTPS server.\n", "400 Bad Request")
    with listening(answering(reply)) as endpoint:
        assert "TLS" in failure(EngineError, endpoint, None)


@pytest.mark.parametrize("when", [NOW, datetime(1999, 12, 31, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC)])
def test_validity_is_read_as_cryptography_reads_it(when: datetime) -> None:
    for name, pem in tls.issue("node1", (), now=when).files.items():
        if "key" not in name:
            found = x509.load_pem_x509_certificate(pem)
            assert validity(pem.decode()) == (found.not_valid_before_utc, found.not_valid_after_utc)
