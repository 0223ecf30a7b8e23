"""Engines that answer /version on loopback, behind TLS or in the clear, and nothing else: so a list can be timed.

Run as a program it serves: python -m bench.stub_engine LATENCY COUNT [FOLDER] prints the ports, one a line, until
killed; with a folder of certificates, behind TLS.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pymachine import tls
from pymachine.model import Endpoint, Machine, Phase
from pymachine.store.sqlite import SqliteStore

LATENCY = 0.1  # seconds until an engine on another host has answered; without it nothing would be waited for
TESTS = Path(__file__).parents[1]
VERSION = json.dumps(
    {"Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
)


@contextmanager
def stub_engines(
    store_folder: Path, count: int, *, behind_tls: bool, latency: float = LATENCY
) -> Iterator[Callable[[], float]]:
    """Put this many ready machines into a store, each with a stub engine behind it.

    Gives a function that returns the seconds of CPU that the engines have taken: they share it with what is timed.
    """
    files = tls.issue("stub", ("127.0.0.1",), now=datetime.now(UTC)).files if behind_tls else {}
    certificates = store_folder.parent / f"{store_folder.name}-stub"
    certificates.mkdir(parents=True)
    for name, content in files.items():
        (certificates / name).write_bytes(content)
    words = [
        sys.executable,
        "-m",
        "bench.stub_engine",
        str(latency),
        str(count),
        *([str(certificates)] if behind_tls else []),
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=TESTS) as server:
        assert server.stdout is not None
        ports = [int(server.stdout.readline()) for _ in range(count)]
        _record(store_folder, ports, files)
        yield partial(_cpu_seconds, server.pid)
        server.kill()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _record(folder: Path, ports: list[int], files: Mapping[str, bytes]) -> None:
    with SqliteStore.open(folder) as store:
        for number, port in enumerate(ports):
            machine = Machine(
                f"stub{number}", f"{number:032x}", "none", Phase.READY,
                handle={"url": f"tcp://127.0.0.1:{port}"}, endpoint=Endpoint("127.0.0.1", port),
            )  # fmt: skip
            store.put(machine, secrets=files or None)
            if files:
                store.materialise(machine.name)


async def _answer(latency: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):  # a client that has read its answer, or gave up
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(latency)
        head = ("HTTP/1.1 200 OK", f"Content-Length: {len(VERSION)}", "Connection: close")
        writer.write("\r\n".join((*head, "", VERSION)).encode())
        await writer.drain()
    writer.close()


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 1  # as Go's servers send, of which Docker's engine is one
    return context


async def _serve(latency: float, count: int, context: ssl.SSLContext | None) -> None:
    for _ in range(count):
        server = await asyncio.start_server(partial(_answer, latency), "127.0.0.1", 0, ssl=context)
        print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(_serve(float(given[0]), int(given[1]), _context(Path(given[2])) if len(given) > 2 else None))
