"""Leases over time: who may take over from whom, and when."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine import clock as clocks
from pymachine.errors import LeaseHeld
from pymachine.store.leases import Terms
from pymachine.store.processes import Life, Process, start_of
from pymachine.store.sqlite import SqliteStore
from unit.world import FakeClock

ME = Process.current()
ELSEWHERE = replace(ME, host="other", host_id="other host", boot="other boot", pid=1, started="1")

Open = Callable[..., SqliteStore]
Abandon = Callable[[SqliteStore], None]


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def open_as(tmp_path: Path) -> Iterator[Open]:
    """Open the one store as this or that process."""
    opened: list[SqliteStore] = []

    def open_(process: Process = ME, **terms: object) -> SqliteStore:
        opened.append(SqliteStore.open(tmp_path / "store", terms=Terms(**terms), process=process))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


def take(store: SqliteStore) -> None:
    """Take the lease and give it back."""
    with store.lease("node1", "take over"):
        pass


@pytest.fixture
def abandon(open_as: Open) -> Iterator[Abandon]:
    """Take the lease as a process that is killed does: without ever giving it back."""
    with ExitStack() as stack:  # a generator that is collected would give it back, so keep it until the end

        def abandon_(store: SqliteStore) -> None:
            stack.enter_context(store.lease("node1", "killed"))

        yield abandon_


def ended_process() -> Process:
    """Return a process of this host that has ended."""
    code = "from pymachine.store.processes import Process as P; p = P.current(); print(p.pid, p.started)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True)
    pid, started = done.stdout.split()
    return replace(ME, pid=int(pid), started=started)


def test_a_dead_process_of_this_host_loses_its_lease_at_once(open_as: Open, abandon: Abandon) -> None:
    abandon(open_as(ended_process()))
    store = open_as()
    assert store.holder("node1") is None
    take(store)


@pytest.mark.parametrize(
    "dead",
    [
        replace(ME, started="1"),  # its number was given to another process
        replace(ME, boot="before the power cut"),
    ],
    ids=["number used again", "rebooted"],
)
def test_a_process_of_the_same_number_is_not_the_same(open_as: Open, abandon: Abandon, dead: Process) -> None:
    abandon(open_as(dead))
    take(open_as(uptime=lambda: 0.0))


def test_another_kernel_at_work_since_this_one_started_is_another_computer(open_as: Open, abandon: Abandon) -> None:
    """Containers of one image with one host name, on two hosts, share a store and all that tells computers apart."""
    abandon(open_as(replace(ME, boot="another kernel"), renewal=3600))
    with pytest.raises(LeaseHeld):
        take(open_as(uptime=lambda: 3600.0))


def test_a_process_that_cannot_be_seen_has_not_ended(tmp_path: Path) -> None:
    """/proc hides the processes of other users if it is mounted so."""
    (tmp_path / "self").mkdir()
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait(LIMIT)
    assert start_of(os.getpid(), str(tmp_path)) == ""
    assert start_of(done.pid, str(tmp_path)) is None


@pytest.mark.parametrize(
    "other",
    [ELSEWHERE, replace(ME, pid=4194304, namespace="pid:[1]", started="1")],
    ids=["other host", "other container"],
)
def test_who_may_be_alive_keeps_the_lease_until_it_expires(open_as: Open, abandon: Abandon, other: Process) -> None:
    clock = Clock()
    abandon(open_as(other, now=clock, renewal=3600))
    store = open_as(now=clock, silence=0.05)
    clock.time += 59
    with pytest.raises(LeaseHeld, match=f"{other.user}@{other.host}, process {other.pid}"):
        take(store)
    clock.time += 1
    assert store.holder("node1") is None
    take(store)


def test_an_expired_lease_is_watched_for_as_long_as_its_holder_may_be_silent(open_as: Open, abandon: Abandon) -> None:
    clock, waits = Clock(), FakeClock()
    abandon(open_as(ELSEWHERE, now=clock, renewal=3600))
    store = open_as(now=clock, clock=clocks.Clock(waits.now, waits.sleep), silence=35.0, poll=10.0)
    clock.time += 61
    take(store)
    assert waits.slept == [10.0, 10.0, 10.0, 5.0]


def test_a_wait_for_a_lease_ends_with_its_time(open_as: Open) -> None:
    waits = FakeClock()
    store = open_as(clock=clocks.Clock(waits.now, waits.sleep), poll=10.0)
    with (
        open_as(ELSEWHERE).lease("node1", "works"),
        pytest.raises(LeaseHeld),
        store.lease("node1", "waits", wait=25.0),
    ):
        pass
    assert waits.slept == [10.0, 10.0, 5.0]


def test_who_is_known_to_live_keeps_the_lease_whatever_the_clock_says(open_as: Open, abandon: Abandon) -> None:
    abandon(open_as(now=lambda: 1_800_000_000.0, renewal=3600))
    store = open_as(now=lambda: 1_800_000_300.0, silence=0.05)
    with pytest.raises(LeaseHeld):
        take(store)
    assert store.holder("node1") is not None


def test_a_clock_that_is_ahead_takes_no_lease_that_is_renewed(open_as: Open) -> None:
    worker = open_as(ELSEWHERE, now=lambda: 1_800_000_000.0 + time.monotonic(), renewal=0.05)
    other = open_as(now=lambda: 1_800_000_300.0 + time.monotonic(), silence=600)
    with worker.lease("node1", "works") as lease:
        with pytest.raises(LeaseHeld):
            take(other)  # it sees the renewal long before the ten minutes of silence are over
        lease.check()


def test_a_zombie_is_dead(open_as: Open, abandon: Abandon) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    try:
        zombie = replace(ME, pid=child.pid, started=wait_for_zombie(child.pid))
        abandon(open_as(zombie))
        take(open_as())
    finally:
        child.wait(LIMIT)


def wait_for_zombie(pid: int) -> str:
    """Return the start time of a child that ended and that nobody has waited for."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def test_a_holder_that_works_long_keeps_its_lease(open_as: Open) -> None:
    worker, other = open_as(ELSEWHERE, span=0.4, renewal=0.05), open_as()
    with worker.lease("node1", "long work") as lease:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            with pytest.raises(LeaseHeld):
                take(other)
            time.sleep(0.05)
        lease.check()


def test_a_holder_that_slept_through_its_end_notices(open_as: Open) -> None:
    clock = Clock()
    sleeper, other = open_as(ELSEWHERE, now=clock, renewal=3600), open_as(now=clock, silence=0.05)
    with sleeper.lease("node1", "sleeps") as lease:
        clock.time += 61
        with other.lease("node1", "goes on") as current:
            with pytest.raises(LeaseHeld, match="lease"):
                lease.check()
            current.check()


def test_a_holder_that_slept_goes_on_if_nobody_came(open_as: Open) -> None:
    clock = Clock()
    sleeper, other = open_as(ELSEWHERE, now=clock, renewal=3600), open_as(now=clock, silence=0.05)
    with sleeper.lease("node1", "sleeps") as lease:
        clock.time += 61
        lease.check()
        with pytest.raises(LeaseHeld):
            take(other)


def test_a_process_knows_itself() -> None:
    assert Process.current() == Process.current()
    assert ME.life(ME, since_boot=True) is Life.LIVES
    assert ME.pid == os.getpid()


def test_a_number_nobody_has_started_never() -> None:
    assert start_of(2**22 + 1) is None  # above the highest pid_max, proc(5)
