"""The verbs of power through the command, on a guest of one boot sector: it obeys its button and boots in seconds."""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from lab import tinyhost
from lab.kvm_fixtures import Virtual
from lab.tinyhost import StandIn
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NAME = "vm-power"


@pytest.fixture
def user(tiny_user: Workstation, virtual: Virtual, stand_in: StandIn) -> Workstation:
    """The user of a machine that is ready; what answers for it stands there while its create runs."""
    with subprocess.Popen(
        tiny_user.command("--debug", *tinyhost.kvm(NAME)), env=tiny_user.env(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        address = _reserved(virtual, process)
        stand_in.ssh(address)
        stand_in.engine(address, tiny_user.store, NAME)
        told, _ = process.communicate(timeout=120)
    assert process.returncode == 0, told
    return tiny_user


def _reserved(virtual: Virtual, process: subprocess.Popen[str]) -> str:
    while process.poll() is None:
        for line in virtual.reservations():
            if found := re.search(f"name='{NAME}' ip='([^']+)'", line):
                return found[1]
        time.sleep(0.1)
    raise AssertionError(f"it ended before it had an address: {process.stdout and process.stdout.read()}")


def test_each_verb_does_what_it_says(user: Workstation, virtual: Virtual) -> None:
    runs = []
    for verbs in (("restart",), ("kill", "restart"), ("stop", "start")):
        runs.append(virtual.virsh("domid", NAME))
        for verb in verbs:
            user.pymachine(verb, NAME)
            # Not what `ls` says: what stands in for the engine answers also for a guest that is off.
            assert virtual.virsh("domstate", NAME).strip() == ("shut off" if verb in ("kill", "stop") else "running")
    assert len({*runs, virtual.virsh("domid", NAME)}) == 4, "each of them was another run of the guest"
    user.pymachine("rm", "-y", NAME)
    assert not any(virtual.leftovers(NAME).values())
