"""kill -9 of a create at each step of a virtual machine, then the same command again, and rm: nothing leaks.

On guests of one boot sector, which cost seconds; on a whole Debian one kill in each run, and all of them in the soak.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import kvm_fixtures, tinyhost
from lab.kvm_fixtures import Virtual
from lab.tinyhost import StandIn
from lab.virtual_leftovers import sweep
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
    ("started", "checking the host", 1),
    ("progressed", "checking the host", 1),  # before the disk is made
    ("progressed", "checking the host", 2),  # before the domain is defined
    ("progressed", "checking the host", 3),  # before it is switched on
]
WHILE_IT_BOOTS = [
    ("progressed", "checking the host", 4),
    ("progressed", "checking the host", 3),
]
ONCE_IT_ANSWERS = [
    ("finished", "checking the host", 1),
    ("started", "setting up the engine", 1),
    ("started", "asking the engine over TLS", 1),
    ("started", "completing", 1),
]


def _die(user: Workstation, event: str, step: str, count: int, create: list[str]) -> None:
    """Give the command and see it killed at that place, and at no other end."""
    died = subprocess.run(
        [sys.executable, str(DIE_AT), event, step, str(count), "--", *create],
        env=user.env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL, f"did not reach {event} {step!r} #{count}: {died.stderr}"
    assert user.pymachine("ls", "-q").stdout == f"{NAME}\n"


def _one_machine(virtual: Virtual) -> None:
    there = virtual.leftovers(NAME)
    assert there["domains"] == {NAME}
    assert len(there["volumes"]) == 4, "a disk, a seed, a console log, a card"
    assert len(there["reservations"]) == 1


def test_a_create_cut_off_at_every_step_goes_on_each_time(
    tiny_user: Workstation, virtual: Virtual, stand_in: StandIn
) -> None:
    create = tinyhost.kvm(NAME)
    for place in (*BEFORE_IT_RUNS, *WHILE_IT_BOOTS):
        _die(tiny_user, *place, create)
    address = tiny_user.inspect(NAME)["ssh"]["host"]
    stand_in.ssh(address)
    stand_in.engine(address, tiny_user.store, NAME)
    for place in ONCE_IT_ANSWERS:
        _die(tiny_user, *place, create)
    tiny_user.pymachine(*create)
    _one_machine(virtual)
    assert tiny_user.states() == {NAME: "Running"}
    tiny_user.pymachine("rm", "-y", NAME)
    assert not any(virtual.leftovers(NAME).values())


PLACES = [
    pytest.param(WHILE_IT_BOOTS[:1], id="while it boots"),
    pytest.param(BEFORE_IT_RUNS, id="before it runs", marks=pytest.mark.soak(150)),
    pytest.param([*WHILE_IT_BOOTS, *ONCE_IT_ANSWERS], id="from its boot on", marks=pytest.mark.soak(150)),
]


@pytest.mark.parametrize("places", PLACES)
def test_a_create_of_a_whole_debian_goes_on_where_it_was_cut_off(
    places: list[tuple[str, str, int]], vm_user: Workstation, virtual: Virtual
) -> None:
    create = kvm_fixtures.kvm(NAME, "--kvm-cpus", "1")
    for place in places:
        _die(vm_user, *place, create)
    vm_user.pymachine(*create)
    _one_machine(virtual)
    vm_user.docker(NAME, "version")
    vm_user.pymachine("rm", "-y", NAME)
    assert not any(virtual.leftovers(NAME).values())


@pytest.mark.parametrize(("event", "step", "count"), [*BEFORE_IT_RUNS, WHILE_IT_BOOTS[0]])
def test_rm_undoes_it(event: str, step: str, count: int, tiny_user: Workstation, virtual: Virtual) -> None:
    _die(tiny_user, event, step, count, tinyhost.kvm(NAME))
    tiny_user.pymachine("rm", "-y", NAME)
    assert not any(virtual.leftovers(NAME).values())
    assert tiny_user.pymachine("ls", "-q").stdout == ""


def test_rm_of_what_was_half_removed_by_hand_is_no_error(tiny_user: Workstation, virtual: Virtual) -> None:
    _die(tiny_user, *WHILE_IT_BOOTS[0], tinyhost.kvm(NAME))
    virtual.virsh("destroy", NAME)
    virtual.virsh("undefine", NAME)
    disk = next(name for name in virtual.volumes() if name.startswith(NAME) and name.endswith(".qcow2"))
    virtual.virsh("vol-delete", "--pool", "default", disk)
    tiny_user.pymachine("rm", "-y", NAME)
    assert not any(virtual.leftovers(NAME).values())


def test_what_a_cut_off_run_of_these_tests_left_is_swept(tiny_user: Workstation, virtual: Virtual) -> None:
    _die(tiny_user, *WHILE_IT_BOOTS[0], tinyhost.kvm(NAME))
    assert len(sweep(virtual, (NAME,))) == 6, "a domain, four volumes and a reservation"
    assert not any(virtual.leftovers(NAME).values())


def test_ctrl_c_ends_with_130_and_the_way_on(tiny_user: Workstation, virtual: Virtual) -> None:
    with subprocess.Popen(
        tiny_user.command(*tinyhost.kvm(NAME)), env=tiny_user.env(), stderr=subprocess.PIPE, stdout=subprocess.PIPE,
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
    assert "booting" in seen, "it was not interrupted while it booted"
    assert f"`pymachine rm {NAME}` to undo it" in seen
    tiny_user.pymachine("rm", "-y", NAME)
    assert not any(virtual.leftovers(NAME).values())
