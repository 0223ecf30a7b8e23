"""kill -9 of a create at every step, then the same command again, and rm: one engine, one record, nothing left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Host
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]
DIE_AT = Path(__file__).with_name("die_at.py")
OURS = "find / -xdev -iname '*pymachine*' ! -path '/proc/*' 2>/dev/null; true"

STEPS = [
    "checking the host",
    "connecting over SSH",
    "surveying the host",
    "issuing certificates",
    "setting up the engine",
    "asking the engine over TLS",
    "completing",
]
BOUNDARIES = [("started", step) for step in STEPS] + [("finished", STEPS[-1])]
# In every run: where the host is changed already and nothing is complete, and the very end. The rest takes turns.
EVERY_RUN = [("started", "setting up the engine"), ("finished", "completing")]
PLACES = [place if place in EVERY_RUN else pytest.param(*place, marks=pytest.mark.soak(12)) for place in BOUNDARIES]


@pytest.fixture(scope="module")
def host(module_engine_host: FreshHost) -> Host:
    """A host with an engine: a create takes seconds, and what is ours is easy to tell."""
    return module_engine_host()


def _die(workstation: Workstation, host: Host, event: str, step: str, count: int = 1, *options: str) -> None:
    place = ["--ssh-host", host.address, "--ssh-key", str(workstation.key), *options]
    died = subprocess.run(
        [sys.executable, str(DIE_AT), event, step, str(count), "--", "create", "-d", "ssh", *place, "node1"],
        env=workstation.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL, f"did not reach {event} {step!r} #{count}: {died.stderr}"


def _nothing_of_ours(host: Host) -> None:
    assert host.exec(OURS).stdout == ""
    assert host.exec("ss -Hltn sport = :2376").stdout == ""
    assert host.exec("docker version --format ok").stdout.strip() == "ok"


@pytest.mark.parametrize(("event", "step"), PLACES)
def test_the_same_create_goes_on(event: str, step: str, host: Host, workstation: Workstation) -> None:
    _die(workstation, host, event, step)
    if (event, step) == BOUNDARIES[-1]:
        assert workstation.states() == {"node1": "Running"}, "it was complete already"
    else:
        workstation.create("node1", host.address)
    assert workstation.pymachine("ls", "-q").stdout == "node1\n"
    assert host.exec("pgrep -c dockerd").stdout.strip() == "1"
    workstation.docker("node1", "version")
    workstation.pymachine("rm", "-y", "node1")
    _nothing_of_ours(host)


@pytest.mark.parametrize(("event", "step"), PLACES)
def test_rm_undoes_it(event: str, step: str, host: Host, workstation: Workstation) -> None:
    _die(workstation, host, event, step)
    workstation.pymachine("rm", "-y", "node1")
    assert workstation.pymachine("ls", "-q").stdout == ""
    _nothing_of_ours(host)


@pytest.mark.parametrize(
    "count", [pytest.param(1, marks=pytest.mark.soak(45)), 2, pytest.param(4, marks=pytest.mark.soak(45))]
)
def test_within_the_set_up_of_a_bare_host(count: int, fresh_host: FreshHost, workstation: Workstation) -> None:
    """The host's script outlives the connection: the next create waits for it or goes on after it."""
    bare = fresh_host()
    _die(workstation, bare, "progressed", "setting up the engine", count, "--engine-install", "distro")
    workstation.create("node1", bare.address, "--engine-install", "distro")
    assert bare.exec("dpkg --audit").stdout == "", "no package is left half installed"
    assert bare.exec("pgrep -c dockerd").stdout.strip() == "1"
    workstation.docker("node1", "version")
    workstation.pymachine("rm", "-y", "--purge", "node1")
    assert bare.exec(OURS).stdout == ""


def test_ctrl_c_says_what_was_kept(fresh_host: FreshHost, workstation: Workstation) -> None:
    bare = fresh_host()
    place = ["--ssh-host", bare.address, "--ssh-key", str(workstation.key), "--engine-install", "distro"]
    process = subprocess.Popen(
        workstation.command("create", "-d", "ssh", *place, "node1"), env=workstation.env(), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    _await_phase(workstation, "reachable")
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert output == ""
    assert "node1" in errors
    assert "Traceback" not in errors
    workstation.create("node1", bare.address, "--engine-install", "distro")
    workstation.docker("node1", "version")


@pytest.mark.soak(40)
def test_a_second_create_of_the_name_is_told_who_works_on_it(fresh_host: FreshHost, workstation: Workstation) -> None:
    bare = fresh_host()
    place = ["--ssh-host", bare.address, "--ssh-key", str(workstation.key), "--engine-install", "distro"]
    words = workstation.command("create", "-d", "ssh", *place, "node1")
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, env=workstation.env(), stdin=quiet, stdout=quiet, stderr=quiet) as first:
        _await_phase(workstation, "reachable")
        refused = workstation.create("node1", bare.address, check=1)
        assert f"pid {first.pid}" in refused.stderr or str(first.pid) in refused.stderr
        assert first.wait(timeout=300) == 0
    workstation.docker("node1", "version")


def _await_phase(workstation: Workstation, phase: str, patience: float = 60) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        seen = workstation.pymachine("inspect", "node1", check=None)
        if seen.returncode == 0 and f'"{phase}"' in seen.stdout:
            return
        time.sleep(0.1)
    raise AssertionError(f"node1 never came to {phase}")
