"""kill -9 of a create at each step of a virtual machine, then the same command again, and rm: nothing leaks."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.kvm_fixtures import Virtual, kvm
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

DIE_AT = Path(__file__).with_name("die_at.py")
NAME = "vm-cut"
# In the order of a create, which goes on from one to the next; the numbers count lines of progress.
BEFORE_IT_RUNS = [
    ("started", "preparing", 1),
    ("progressed", "preparing", 1),
    ("finished", "preparing", 1),
    ("started", "planning the set-up", 1),
    ("started", "allocating the host", 1),
    ("progressed", "allocating the host", 1),  # before the disk is made
    ("progressed", "allocating the host", 2),  # before the domain is defined
    ("progressed", "allocating the host", 3),  # before it is switched on
]
WHILE_IT_BOOTS = [
    ("progressed", "allocating the host", 4),
    ("progressed", "allocating the host", 3),
    ("finished", "allocating the host", 1),
    ("started", "setting up the engine", 1),
    ("started", "asking the engine over TLS", 1),
    ("started", "completing", 1),
]


def _die(user: Workstation, event: str, step: str, count: int) -> None:
    died = subprocess.run(
        [sys.executable, str(DIE_AT), event, step, str(count), "--", *kvm(NAME)],
        env=user.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL, f"did not reach {event} {step!r} #{count}: {died.stderr}"


def test_a_create_cut_off_at_every_step_goes_on_each_time(vm_user: Workstation, virtual: Virtual) -> None:
    before = virtual.leftovers()
    for event, step, count in (*BEFORE_IT_RUNS, *WHILE_IT_BOOTS):
        _die(vm_user, event, step, count)
        assert vm_user.pymachine("ls", "-q").stdout == f"{NAME}\n"
    vm_user.pymachine(*kvm(NAME))
    assert virtual.domains() - before["domains"] == {NAME}
    assert len(virtual.volumes() - before["volumes"]) == 3, "a disk, a seed, a console log"
    assert len(virtual.reservations() - before["reservations"]) == 1
    vm_user.docker(NAME, "version")
    vm_user.pymachine("rm", "-y", NAME)
    assert virtual.leftovers() == before


@pytest.mark.parametrize(("event", "step", "count"), [*BEFORE_IT_RUNS, WHILE_IT_BOOTS[0]])
def test_rm_undoes_it(event: str, step: str, count: int, vm_user: Workstation, virtual: Virtual) -> None:
    before = virtual.leftovers()
    _die(vm_user, event, step, count)
    vm_user.pymachine("rm", "-y", NAME)
    assert virtual.leftovers() == before
    assert vm_user.pymachine("ls", "-q").stdout == ""


def test_rm_of_what_was_half_removed_by_hand_is_no_error(vm_user: Workstation, virtual: Virtual) -> None:
    before = virtual.leftovers()
    _die(vm_user, *WHILE_IT_BOOTS[0])
    virtual.virsh("destroy", NAME)
    virtual.virsh("undefine", NAME)
    disk = next(name for name in virtual.volumes() if name.startswith(NAME) and name.endswith(".qcow2"))
    virtual.virsh("vol-delete", "--pool", "default", disk)
    vm_user.pymachine("rm", "-y", NAME)
    assert virtual.leftovers() == before


def test_ctrl_c_ends_with_130_and_the_way_on(vm_user: Workstation, virtual: Virtual) -> None:
    before = virtual.leftovers()
    with subprocess.Popen(
        vm_user.command(*kvm(NAME)), env=vm_user.env(), stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if "booting" in line:
                process.send_signal(signal.SIGINT)
                break
        seen += process.stderr.read()
        assert process.wait(60) == 130, seen
    assert f"`pymachine rm {NAME}` to undo it" in seen
    vm_user.pymachine("rm", "-y", NAME)
    assert virtual.leftovers() == before
