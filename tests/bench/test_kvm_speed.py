"""How long a virtual machine takes, against its image's boot and a former image's, against two at once."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from bench.boots import Watched, image_of_commit, watched_create
from bench.test_speed import _report
from lab.kvm_fixtures import IMAGE, Virtual, kvm, shelf
from lab.workstation import Workstation

pytestmark = [pytest.mark.bench, pytest.mark.timeout(2400), pytest.mark.soak(1200)]

MOST_TOGETHER = 0.8
FORMER = "4d60ec6"  # the image whose boots began with cloud-init
ROUNDS = 3
MOST_OF_FORMER, MOST_OF_BOOT = 0.5, 1.15
ONE_CPU = ("--kvm-cpus", "1")  # two machines on two cores: with two processors each, one alone has both already
EMULATED = ("--kvm-virt-type", "qemu")  # not the time that finding out takes, once a host


@pytest.fixture(scope="module")
def user(vm_users: Workstation) -> Iterator[Workstation]:
    yield vm_users
    vm_users.pymachine("rm", "-f", "-y", *vm_users.states(), check=None)


def _create(user: Workstation, name: str, *options: str) -> float:
    began = time.monotonic()
    user.pymachine(*kvm(name, *EMULATED, *options))
    return time.monotonic() - began


def test_a_boot_takes_half_of_what_it_took_with_cloud_init_and_a_create_little_more(
    user: Workstation, engine_image: str, tmp_path: Path
) -> None:
    former = image_of_commit(FORMER, IMAGE)
    if former is None:
        pytest.skip(f"commit {FORMER} is not in this clone")
    shelves = {"former": former, "ours": shelf()}
    seen: dict[str, list[Watched]] = {key: [] for key in shelves}
    for _ in range(ROUNDS):
        for key, folder in shelves.items():
            seen[key].append(watched_create(user, "vm-round", kvm("vm-round", *EMULATED), folder, tmp_path))
    wall = [round(ours.boot / before.boot, 2) for before, ours in zip(seen["former"], seen["ours"], strict=True)]
    work = [round(o.processor / b.processor, 2) for b, o in zip(seen["former"], seen["ours"], strict=True)]
    detail = f"each round {wall}, processor time {work}, {median(one.boot for one in seen['ours']):.0f} s"
    _report("power-on to engine", f"image of {FORMER}", median(wall), MOST_OF_FORMER, detail)
    # The first one may have to bring the base into the pool.
    create = median(one.whole / one.boot for one in seen["ours"][1:])
    _report("`create -d kvm`", "power-on to engine of its image", create, MOST_OF_BOOT, "")
    assert median(wall) <= MOST_OF_FORMER
    assert create <= MOST_OF_BOOT


def test_two_at_once_share_the_base_and_the_time_while_a_third_is_removed(
    user: Workstation, virtual: Virtual
) -> None:
    alone = _create(user, "vm-speed1", *ONE_CPU)
    bases = virtual.bases()
    began = time.monotonic()
    both = [_started(user, name) for name in ("vm-speed2", "vm-speed3")]
    _ended(_run(user, "rm", "-y", "vm-speed1"))
    told = [_ended(process) for process in both]
    together = time.monotonic() - began
    assert virtual.bases() == bases, "no copy of the base was made, nor was it touched"
    assert all("nothing to copy" in text for text in told)
    assert user.states() == {"vm-speed2": "Running", "vm-speed3": "Running"}
    assert len({user.inspect(name)["endpoint"]["host"] for name in ("vm-speed2", "vm-speed3")}) == 2
    _told_bytes(virtual)
    ratio = together / (2 * alone)
    detail = f"{together:.0f} s for two, {alone:.0f} s for one, of one processor each"
    _report("two creates at once", "one after the other", ratio, MOST_TOGETHER, detail)
    assert ratio <= MOST_TOGETHER


def _started(user: Workstation, name: str) -> subprocess.Popen[str]:
    return _run(user, *kvm(name, *EMULATED, *ONE_CPU))


def _run(user: Workstation, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        user.command(*words), env=user.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _ended(process: subprocess.Popen[str]) -> str:
    told, _ = process.communicate(timeout=900)
    assert process.returncode == 0, told
    return told


def _told_bytes(virtual: Virtual) -> None:
    """Print what a machine's own disk takes beside the base that it stands on."""
    base = sum(state.st_blocks * 512 for state in virtual.bases().values())
    paths = [virtual.virsh("vol-path", "--pool", "default", name).strip() for name in virtual.volumes()]
    disks = {path: Path(path).stat().st_blocks * 512 for path in paths if path.endswith(".qcow2")}
    print(f"\nBYTES | base {base >> 20} MiB | " + ", ".join(f"{size >> 20} MiB" for size in disks.values()))
