"""Many machines at once: eight creates into one empty store, and a list with dead hosts in it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence

import pytest

from lab import Host
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

ManyHosts = Callable[[int], Sequence[Host]]


@pytest.fixture(scope="module")
def twenty(many_engine_hosts: ManyHosts) -> Sequence[Host]:
    """Twenty hosts that have an engine already."""
    return many_engine_hosts(20)


def _create_all(workstation: Workstation, hosts: Sequence[Host], first: int = 1) -> None:
    """Start all creates in the same instant and wait for them."""
    running = [_start_create(workstation, host, number) for number, host in enumerate(hosts, first)]
    for process in running:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors


def _start_create(workstation: Workstation, host: Host, number: int) -> subprocess.Popen[str]:
    place = ("--ssh-host", host.address, "--ssh-key", str(workstation.key))
    words = workstation.command("create", "-d", "ssh", *place, f"node{number}")
    pipe = subprocess.PIPE
    return subprocess.Popen(
        words, env=workstation.env(), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
    )


@pytest.mark.soak(120)
def test_eight_creates_into_an_empty_store_and_a_list_of_twenty_with_five_dead(
    twenty: Sequence[Host], workstation: Workstation
) -> None:
    assert not workstation.store.exists()
    _create_all(workstation, twenty[:8])
    assert workstation.states() == {f"node{number}": "Running" for number in range(1, 9)}
    fingerprints = {workstation.inspect(f"node{number}")["certificates"]["ca"] for number in range(1, 9)}
    assert len(fingerprints) == 8, "each machine has a CA of its own"

    _create_all(workstation, twenty[8:14], first=9)
    _create_all(workstation, twenty[14:], first=15)
    for host in twenty[:3]:
        host.kill()
    for host in twenty[3:5]:
        host.cut()
    began = time.monotonic()
    listed = workstation.pymachine("ls", "--json", "--timeout", "6")
    took = time.monotonic() - began
    states = {row["name"]: row["state"] for row in json.loads(listed.stdout)}
    assert took < 6 + 3, f"ls took {took:.1f} s"
    assert {name for name, state in states.items() if state == "Running"} == {f"node{n}" for n in range(6, 21)}
    assert {states[f"node{n}"] for n in range(1, 6)} <= {"Unreachable", "Timeout"}
    removed = workstation.pymachine("rm", "-f", *(f"node{n}" for n in range(1, 21)))
    assert workstation.pymachine("ls", "-q").stdout == "", removed.stderr
