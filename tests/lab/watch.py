"""Watching a Swarm without pause: whether its managers take part, whether one leads, whether its service answers."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import urllib.error
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab import Host
from lab.wait import open_direct
from lab.workstation import Workstation

INTERVAL = 0.1
TIMEOUT = 10.0
PAUSE = 0.02


@dataclass
class Seen:
    """What a manager said, over time: (seconds, whether it takes part, whether it knows of a leader)."""

    samples: list[tuple[float, bool, bool]] = field(default_factory=list)


@dataclass
class Account:
    """What was seen. ``failed`` are the times at which no node served a request."""

    asked: int = 0
    failed: list[str] = field(default_factory=list)
    managers: dict[str, Seen] = field(default_factory=dict)

    @property
    def looks(self) -> int:
        """How often managers were asked."""
        return sum(len(seen.samples) for seen in self.managers.values())

    def fewest(self) -> int:
        """The fewest managers that took part at once; each is as it last said."""
        return min(sum(part for part, _ in state) for _, state in self._states())

    def leaderless(self) -> float:
        """The longest time, in seconds, for which no manager knew of a leader."""
        longest, since = 0.0, None
        for at, state in self._states():
            if any(leads for _, leads in state):
                since = None
            else:
                since = at if since is None else since
                longest = max(longest, at - since)
        return longest

    def _states(self) -> Iterator[tuple[float, list[tuple[bool, bool]]]]:
        events = sorted(
            (at, name, part, leads) for name, seen in self.managers.items() for at, part, leads in seen.samples
        )
        last: dict[str, tuple[bool, bool]] = {}
        for at, name, part, leads in events:
            last[name] = (part, leads)
            if len(last) == len(self.managers):
                yield at, list(last.values())


@contextmanager
def watched(user: Workstation, hosts: Mapping[str, Host], port: int) -> Iterator[Account]:
    """Ask the service at whichever node answers, and each manager every 100 ms, as long as the block runs."""
    account = Account(managers={name: Seen() for name in hosts})
    over = threading.Event()
    folders = {name: Path(user.variables(name)["DOCKER_CERT_PATH"]) for name in hosts}
    threads = [
        threading.Thread(target=_ask_manager, args=(hosts[name].address, folders[name], account.managers[name], over))
        for name in hosts
    ]
    threads.append(threading.Thread(target=_ask_service, args=(list(hosts.values()), port, account, over)))
    for thread in threads:
        thread.start()
    try:
        yield account
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ask_service(hosts: Sequence[Host], port: int, account: Account, over: threading.Event) -> None:
    while not over.is_set():
        account.asked += 1
        if not any(answers(host, port) for host in hosts):
            account.failed.append(time.strftime("%X"))
        time.sleep(PAUSE)


def answers(host: Host, port: int) -> bool:
    """Whether the host's task of the service answers."""
    try:
        return open_direct(f"http://{host.address}:{port}/", timeout=2) == b"here\n"
    except (OSError, urllib.error.URLError):
        return False


def _ask_manager(address: str, folder: Path, seen: Seen, over: threading.Event) -> None:
    while not over.is_set():
        seen.samples.append((time.monotonic(), *_looked_at(address, folder)))
        time.sleep(INTERVAL)


def _looked_at(address: str, folder: Path) -> tuple[bool, bool]:
    try:
        # The files are read each time: certificates may be renewed meanwhile.
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        connection = http.client.HTTPSConnection(address, 2376, context=context, timeout=TIMEOUT)
        try:
            code, body = _get(connection, "/info")
            swarm = json.loads(body).get("Swarm", {}) if code == http.HTTPStatus.OK else {}
            part = swarm.get("LocalNodeState") == "active" and bool(swarm.get("ControlAvailable"))
            return part, _get(connection, "/nodes")[0] == http.HTTPStatus.OK
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False, False


def _get(connection: http.client.HTTPSConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()
