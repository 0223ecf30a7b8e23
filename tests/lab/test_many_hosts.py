"""Two hundred hosts that speak real SSH: plan, and an apply that changes nothing, with dead, wrong and slow ones.

Needs neither root nor the lab, only loopback; it stands here because it takes its time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.stub_fleet import Stubs, address_of, running
from pymachine.store.sqlite import SqliteStore

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

COUNT = int(os.environ.get("PYMACHINE_STUBS", "200"))
DEAD, WRONG, SLOW = range(5), range(5, 10), range(10, 15)
WAIT = 3.0  # seconds that a slow host takes
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stubs]:
    with running(tmp_path_factory.mktemp("stubs"), COUNT) as fleet:
        yield fleet


def test_nothing_to_do_is_found_with_one_connection_a_host(stubs: Stubs) -> None:
    stubs.forget_logins()
    began = time.monotonic()
    done = stubs.pymachine("apply", "-y")
    seconds = time.monotonic() - began
    assert done.stdout == "fleet many is as its inventory says: nothing to do\n"
    assert stubs.logins() == {address_of(number): 1 for number in range(COUNT)}
    print(f"{COUNT} hosts, nothing to do: {seconds:.1f} s")


def test_dead_and_wrong_hosts_are_told_and_the_rest_is_planned(stubs: Stubs) -> None:
    with SqliteStore.open(stubs.folder / "store") as store:
        for number in (*DEAD, *WRONG):
            machine = store.get(f"stub-{number:04}")
            assert machine.ssh is not None
            ssh = replace(machine.ssh, port=1) if number in DEAD else replace(machine.ssh, host_key=OTHER_KEY)
            store.put(machine.with_(ssh=ssh))
    for number in SLOW:
        (stubs.folder / "slow" / address_of(number)).write_text(str(WAIT))
    text = (stubs.folder / "fleet.yaml").read_text()
    (stubs.folder / "fleet.yaml").write_text(
        text.replace("machines:", "machines:", 1).replace("env=test", "env=prod")
    )
    began = time.monotonic()
    done = stubs.pymachine("plan", "--json", check=6)
    seconds = time.monotonic() - began
    plan = json.loads(done.stdout)
    assert set(plan["unseen"]) == {f"stub-{number:04}" for number in (*DEAD, *WRONG)}
    assert {change["action"] for change in plan["changes"]} == {"configure"}
    assert len(plan["changes"]) == COUNT - 10
    assert seconds < 60, "the slow ones held up the others"


def test_drift_of_the_same(stubs: Stubs) -> None:
    table = stubs.pymachine("drift", "--limit", "stub-00[0-2]*", check=6).stdout
    assert "stub-0000" in table
    assert "set labels in /etc/docker/daemon.json" in table
