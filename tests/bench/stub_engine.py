"""Engines that answer /version behind TLS on loopback, and nothing else: so that a list can be timed.

Run as a program it serves: python -m bench.stub_engine FOLDER COUNT prints the ports, one a line, until killed.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pymachine import tls
from pymachine.model import Endpoint, Machine, Phase
from pymachine.store.sqlite import SqliteStore

TESTS = Path(__file__).parents[1]
VERSION = json.dumps(
    {"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
)


@contextmanager
def stub_engines(store_folder: Path, count: int) -> Iterator[None]:
    """Put this many ready machines into a store, each with a stub engine behind it."""
    files = tls.issue("stub", ("127.0.0.1",), now=datetime.now(UTC)).files
    certificates = store_folder.parent / f"{store_folder.name}-stub"
    certificates.mkdir(parents=True)
    for name, content in files.items():
        (certificates / name).write_bytes(content)
    words = [sys.executable, "-m", "bench.stub_engine", str(certificates), str(count)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=TESTS) as server:
        assert server.stdout is not None
        ports = [int(server.stdout.readline()) for _ in range(count)]
        _record(store_folder, ports, files)
        yield
        server.kill()


def _record(folder: Path, ports: list[int], files: Mapping[str, bytes]) -> None:
    with SqliteStore.open(folder) as store:
        for number, port in enumerate(ports):
            machine = Machine(
                f"stub{number}", f"{number:032x}", "none", Phase.READY,
                handle={"url": f"tcp://127.0.0.1:{port}"}, endpoint=Endpoint("127.0.0.1", port),
            )  # fmt: skip
            store.put(machine, secrets=files)
            store.materialise(machine.name)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    head = ("HTTP/1.1 200 OK", f"Content-Length: {len(VERSION)}", "Connection: close")
    writer.write("\r\n".join((*head, "", VERSION)).encode())
    await writer.drain()
    writer.close()


async def _serve(folder: Path, count: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    for _ in range(count):
        server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=context)
        print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
