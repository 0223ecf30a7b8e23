"""How long a fleet takes: against Ansible on the same hosts, and as it grows. Hosts are stubs that speak real SSH."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.test_speed import MINIMAL, _report
from lab import Host
from lab.client import docker_cli
from lab.core import Lab
from lab.fleets import LabFleet
from lab.stub_fleet import Stubs, address_of, running
from lab.workstation import Workstation
from unit.inventories import read

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

HUNDRED, THOUSAND, FORKS = 100, 1000, 50
AIM_AGAINST_ANSIBLE, AIM_TENFOLD = 1.0, 12.0
MOST_AGAINST_ANSIBLE, MOST_TENFOLD = 1.0, 20.0
MOST_READING = 30.0  # ten times the machines; the garbage collector adds to it, a quadratic reader would take 100
SIX, ROUNDS, AIM_SIX, MOST_SIX = 6, 2, 1.3, 1.7


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stubs]:
    with running(tmp_path_factory.mktemp("hundred"), HUNDRED) as fleet:
        yield fleet


def _applied(fleet: Stubs) -> float:
    began = time.monotonic()
    done = fleet.pymachine("apply", "-y")
    seconds = time.monotonic() - began
    assert "nothing to do" in done.stdout
    return seconds


def _ansible(fleet: Stubs) -> float:
    """Seconds of the smallest thing that Ansible can do on all hosts: no facts, no Python there, one command."""
    inventory = fleet.folder / "hosts"
    inventory.write_text("".join(f"{address_of(number)} ansible_port={fleet.port}\n" for number in range(HUNDRED)))
    options = f"-F none -i {fleet.folder}/.ssh/id_ed25519 -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    environ = {
        **fleet.environ, "ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_HOME": str(fleet.folder / "ansible"), "LC_ALL": "C.UTF-8",
        "ANSIBLE_SSH_ARGS": options,
    }  # fmt: skip
    words = [str(Path(sys.executable).with_name("ansible")), "all", "-i", str(inventory), "-u", "root"]
    began = time.monotonic()
    done = subprocess.run(
        [*words, "-m", "raw", "-a", "true", "-f", str(FORKS)], env=environ, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.count("CHANGED | rc=0") == HUNDRED
    return seconds


@pytest.mark.soak(90)
def test_an_apply_with_nothing_to_do_is_no_slower_than_ansible_saying_true(hundred: Stubs) -> None:
    ours, theirs = [], []
    for _ in range(3):
        ours.append(_applied(hundred))
        theirs.append(_ansible(hundred))
    ratio = statistics.median(ours) / statistics.median(theirs)
    detail = f"{statistics.median(ours):.1f} s against {statistics.median(theirs):.1f} s"
    _report("`apply` of 100 hosts, nothing to do", "`ansible all -m raw -a true`, 50 forks", ratio, 1.0, detail)
    assert ratio <= MOST_AGAINST_ANSIBLE


@pytest.mark.soak(150)
def test_ten_times_the_hosts_take_about_ten_times_as_long(
    hundred: Stubs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    small = statistics.median(_applied(hundred) for _ in range(3))
    with running(tmp_path_factory.mktemp("thousand"), THOUSAND) as fleet:
        words = fleet.command("apply", "-y")
        began = time.monotonic()
        with subprocess.Popen(words, env=fleet.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            told = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        large = time.monotonic() - began
    assert process.returncode == 0, told[-3000:]
    assert b"nothing to do" in told
    ratio = large / small
    detail = f"{large:.1f} s and {_mebibytes(usage)} MiB for 1,000, {small:.1f} s for 100"
    _report("`apply` of 1,000 hosts, nothing to do", "of 100", ratio, AIM_TENFOLD, detail)
    assert ratio <= MOST_TENFOLD


@pytest.mark.soak(240)
def test_six_bare_hosts_become_a_swarm_in_little_more_than_their_packages_take(
    fresh_host: Callable[..., Host], lab_session: Lab, tmp_path: Path
) -> None:
    """Against six ssh at once that install the same packages: what they share, two processors say, is the limit."""
    ours, theirs = [], []
    for turn in range(ROUNDS):
        theirs.append(_installed_side_by_side(_six(fresh_host, f"bare{turn}")))
        ours.append(_made_a_swarm(_six(fresh_host, f"n{turn}"), lab_session, tmp_path / str(turn)))
    ratio = min(ours) / min(theirs)
    detail = f"{min(ours):.0f} s against {min(theirs):.0f} s"
    _report("`apply` makes a Swarm of 6 bare hosts", "six ssh that install the same packages", ratio, AIM_SIX, detail)
    assert ratio <= MOST_SIX


def _six(fresh_host: Callable[..., Host], prefix: str) -> dict[str, Host]:
    return {name: fresh_host(name=name) for name in (f"{prefix}-{number}" for number in range(SIX))}


def _destroyed(hosts: dict[str, Host]) -> None:
    for host in hosts.values():
        host.destroy()


def _installed_side_by_side(hosts: dict[str, Host]) -> float:
    began = time.monotonic()
    with ThreadPoolExecutor(SIX) as pool:
        list(pool.map(lambda host: host.run(MINIMAL, timeout=600), hosts.values()))
    seconds = time.monotonic() - began
    _destroyed(hosts)
    return seconds


def _made_a_swarm(hosts: dict[str, Host], lab: Lab, folder: Path) -> float:
    user = Workstation(folder, docker_cli(), lab.key)
    folder.mkdir()
    seats = ["manager", *["worker"] * (SIX - 1)]
    entries = {name: f"swarm: {seat}" for name, seat in zip(hosts, seats, strict=True)}
    fleet = LabFleet(user, hosts, entries, name=f"six{folder.name}")
    began = time.monotonic()
    fleet.apply("--parallel", str(SIX))
    seconds = time.monotonic() - began
    assert len(fleet.nodes(next(iter(hosts)))) == SIX
    _destroyed(hosts)
    return seconds


def test_reading_an_inventory_takes_time_in_proportion_to_its_machines() -> None:
    small, large = (min(_read(count) for _ in range(3)) for count in (HUNDRED, THOUSAND))
    detail = f"{large:.2f} s against {small:.2f} s of processor time"
    _report("an inventory of 1,000 machines", "of 100", large / small, MOST_READING, detail)
    assert large / small <= MOST_READING


def _read(count: int) -> float:
    """Seconds of processor time for machines that are written one by one."""
    entries = [
        f"- name: n{number}\n  driver: ssh\n  ssh: {{host: h{number}, user: o}}\n  labels: {{rack: r{number % 7}}}\n"
        f"  swarm: {'manager' if number == 0 else 'worker'}\n  engine: {{labels: {{n: '{number}'}}}}\n"
        for number in range(count)
    ]
    began = time.process_time()
    found = read("fleet: f\ndefaults: {engine: {install: distro}}\nmachines:\n" + "".join(entries))
    seconds = time.process_time() - began
    assert len(found.fleet.machines) == count
    return seconds


def _mebibytes(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss // 1024
