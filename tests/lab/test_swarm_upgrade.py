"""Engines of a Swarm upgraded one after another on real hosts, while a service goes on answering."""

from __future__ import annotations

import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lab import Host
from lab.aptrepo import AptRepo
from lab.images import rootfs
from lab.wait import open_direct
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.soak(150)]

FreshHost = Callable[..., Host]
# Not those of the hosts that other tests of Swarms share: one lab has them all.
NAMES = ("leader", "left", "right")
WEB = "mkdir /www && echo here > /www/index.html && exec httpd -f -p 80 -h /www"


def test_a_rolling_upgrade_leaves_no_request_without_an_answer(
    fresh_host: FreshHost, apt_repo: AptRepo, workstation: Workstation
) -> None:
    hosts = {name: fresh_host(name=name, wait=False) for name in NAMES}
    older, newer = (version.split(":", 1)[1].split("-", 1)[0] for version in apt_repo.versions("trixie"))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: _create(workstation, name, hosts[name], apt_repo.url, older), NAMES))
    workstation.pymachine("swarm", "create", *NAMES)
    publish = ("--publish", "mode=host,target=80,published=8088", "--mode", "global", "--endpoint-mode", "dnsrr")
    words = ("service", "create", "--detach", "--name", "web", "--no-resolve-image", "--stop-grace-period", "1s")
    workstation.docker("leader", *words, *publish, "busybox:swarm", "sh", "-c", WEB)
    _until(lambda: all(_answers(host) for host in hosts.values()))

    with _asking(list(hosts.values())) as failures:
        told = workstation.pymachine("swarm", "upgrade").stdout.splitlines()
    assert [line.split()[0] for line in told] == ["left", "right", "leader"], "the leader is last"
    assert failures[1:] == [], f"{len(failures) - 1} of {failures[0]} requests found nobody"
    assert int(failures[0]) > 20
    status = workstation.pymachine("swarm", "status", "--json").stdout
    assert status.count(f'"engine": "{newer}') == 3, status
    assert status.count('"availability": "active"') == 3
    again = workstation.pymachine("--progress", "plain", "swarm", "upgrade", "--version", newer)
    assert sorted(again.stdout.splitlines()) == sorted(told), "the leader is another one by now"
    assert "swarm drain" not in again.stderr, "no node is drained for what it has already"


def _create(user: Workstation, name: str, host: Host, repository: str, version: str) -> None:
    host.wait_ssh()
    user.create(name, host.address, "--engine-repo-url", repository, "--engine-version", version)
    host.run("docker import - busybox:swarm", stdin=rootfs())


def _answers(host: Host) -> bool:
    try:
        return open_direct(f"http://{host.address}:8088/", timeout=2) == b"here\n"
    except (OSError, urllib.error.URLError):
        return False


@contextmanager
def _asking(hosts: list[Host]) -> Iterator[list[str]]:
    """Ask all the time, at whichever host answers, as a balancer in front of them would; list who found nobody."""
    outcome = ["0"]
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            outcome[0] = str(int(outcome[0]) + 1)
            if not any(_answers(host) for host in hosts):
                outcome.append(time.strftime("%X"))
            time.sleep(0.2)

    thread = threading.Thread(target=ask)
    thread.start()
    yield outcome
    over.set()
    thread.join()


def _until(true: Callable[[], bool], patience: float = 60) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end
        time.sleep(0.5)
