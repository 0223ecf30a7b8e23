"""Speed as ratios within one run; absolute times are printed, never judged. `make bench` shows the table."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.stub_engine import stub_engines
from lab import Host
from lab.workstation import Workstation

FreshHost = Callable[..., Host]


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _report(what: str, against: str, ratio: float, most: float, detail: str) -> None:
    print(f"\nRATIO | {what} | {against} | {ratio:.2f} | at most {most} | {detail}")


def _process(words: list[str], env: dict[str, str]) -> float:
    return _seconds(lambda: subprocess.run(words, env=env, check=True, capture_output=True, stdin=subprocess.DEVNULL))


@pytest.fixture
def remembered(workstation: Workstation) -> Workstation:
    """A user with one machine on record."""
    workstation.pymachine("create", "-d", "none", "--url", "tcp://127.0.0.1:2376", "node1")
    return workstation


@pytest.mark.bench
@pytest.mark.parametrize(
    "words", [("env", "--shell", "sh", "node1"), ("url", "node1"), ("ip", "node1")], ids=lambda w: w[0]
)
def test_what_is_typed_all_day_starts_fast(words: tuple[str, ...], remembered: Workstation) -> None:
    env = remembered.env()
    bare, ours = [], []
    for _ in range(15):
        bare.append(_process([sys.executable, "-c", "pass"], env))
        ours.append(_process(remembered.command(*words), env))
    ratio = statistics.median(ours) / statistics.median(bare)
    detail = f"{statistics.median(ours) * 1000:.0f} ms against {statistics.median(bare) * 1000:.0f} ms"
    _report(f"`{words[0]}`", "`python -c pass`", ratio, 5, detail)
    assert ratio <= 5


# What a create needs of the distribution to have an engine, and nothing else.
MINIMAL = (
    "apt-get -q update && DEBIAN_FRONTEND=noninteractive"
    " apt-get -q -y install --no-install-recommends docker.io docker-cli"
)
ROUNDS, AIM_ON_BARE_METAL, MOST_ON_BARE_METAL = 3, 1.1, 1.6


@pytest.mark.bench
@pytest.mark.lab
@pytest.mark.soak(120)
def test_create_costs_little_more_than_the_packages(
    fresh_host: FreshHost, workstation: Workstation, lab_session: object
) -> None:
    """Rounds of both sides in turn, each on a fresh host of its own: the best of each side is compared."""
    bare, ours, extras = [], [], []
    for turn in range(ROUNDS):
        host = fresh_host()
        bare.append(_seconds(partial(host.run, MINIMAL, timeout=300)))
        host.destroy()
        host = fresh_host()
        words = (f"node{turn}", host.address, "--engine-install", "distro")
        ours.append(_seconds(partial(workstation.create, *words)))
        extras.append(_seconds(host.finish_extras))
        host.destroy()
    ratio = min(ours) / min(bare)
    against = "one ssh: apt-get update, apt-get install --no-install-recommends docker.io docker-cli"
    detail = f"{min(ours):.1f} s against {min(bare):.1f} s; what follows afterwards takes {min(extras):.1f} s"
    _report("`create -d ssh`, fresh host", against, ratio, AIM_ON_BARE_METAL, detail)
    assert ratio <= MOST_ON_BARE_METAL


@pytest.mark.bench
@pytest.mark.lab
def test_one_create_is_one_connection_of_few_round_trips(fresh_host: FreshHost, workstation: Workstation) -> None:
    host = fresh_host()
    host.run("truncate -s 0 /var/log/wtmp")
    before = _accepted(host)
    told = workstation.create("node1", host.address, "--engine-install", "distro", "--debug").stderr
    trips = len(re.findall(r"trip \d+:", told))
    connections = _accepted(host) - before
    print(f"\nCOUNT | SSH connections of one create | {connections} | round trips | {trips}")
    assert connections == 1
    assert 1 <= trips <= 4


def _accepted(host: Host) -> int:
    """How many logins sshd has accepted, read without logging in."""
    journal = host.exec("journalctl -q --no-pager -o cat -t sshd -t sshd-session | grep -c '^Accepted'; true").stdout
    return int(journal.strip() or 0)


@pytest.mark.soak(20)
@pytest.mark.bench
@pytest.mark.parametrize(("behind_tls", "most"), [(False, 2.0), (True, 6.0)], ids=["plain", "tls"])
def test_a_long_list_is_looked_at_together(
    behind_tls: bool, most: float, tmp_path: Path, workstation: Workstation
) -> None:
    """The stubs answer after 0.1 s. That wait is shared: 200 take at most twice the time of 20, one by one 20 s.

    The work of 200 handshakes is not shared: OpenSSL 3.0 needs about 2 ms of CPU for the context and the handshake of
    one machine, and the stubs, on the same two cores, as much again. Behind TLS the target of 2 is missed by that.
    """
    small = Workstation(tmp_path / "small", workstation.docker_cli, workstation.key)
    large = Workstation(tmp_path / "large", workstation.docker_cli, workstation.key)
    with (
        stub_engines(small.store, 20, behind_tls=behind_tls),
        stub_engines(large.store, 200, behind_tls=behind_tls),
    ):
        for user, count in ((small, 20), (large, 200)):
            rows = json.loads(user.pymachine("ls", "--json").stdout)
            assert [row["state"] for row in rows] == ["Running"] * count
        short, long = (min(_seconds(partial(user.pymachine, "ls")) for _ in range(3)) for user in (small, large))
    ratio = long / short
    what = "behind TLS" if behind_tls else "in the clear"
    _report(f"`ls` of 200 engines {what}", "`ls` of 20", ratio, most, f"{long:.2f} s against {short:.2f} s")
    assert ratio <= most
