"""kill -9 of apply at random moments, then apply: it converges, and nothing is there twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from lab import Host
from lab.client import docker_cli
from lab.core import Lab
from lab.fleets import STACK, LabFleet, with_image
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

NAMES = ("mgr", "web-1", "web-2")
WORKER = "swarm: {role: worker}"
# How often it is killed; the whole proof is twenty.
TIMES = int(os.environ.get("PYMACHINE_KILLS", "6"))
LONGEST = 30.0  # seconds that an undisturbed apply takes here, about


@pytest.fixture(scope="module")
def hosts(module_engine_host: Callable[..., Host]) -> dict[str, Host]:
    """Hosts with an engine: an apply takes half a minute."""
    booted = {name: module_engine_host(name=name, wait=False) for name in NAMES}
    for host in booted.values():
        host.wait_ssh()
    with_image(list(booted.values()))
    return booted


@pytest.fixture
def fleet(hosts: dict[str, Host], lab_session: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabFleet]:
    """A fleet that is not there yet; gone after the test."""
    user = Workstation(tmp_path_factory.mktemp("killed"), docker_cli(), lab_session.key)
    compose = user.folder / "shop.yaml"
    compose.write_text(STACK)
    more = f"stacks: [{{name: shop, file: {compose}, environment: {{COLOUR: green}}}}]"
    made = LabFleet(user, hosts, {"mgr": "swarm: manager", "web-1": WORKER, "web-2": WORKER}, more)
    yield made
    made.run("destroy", "-y")
    for host in hosts.values():
        assert host.exec("docker info --format '{{.Swarm.LocalNodeState}}'").stdout.strip() == "inactive"
        assert host.exec("ls /var/lib/pymachine 2>/dev/null || true").stdout == ""


def _kill(fleet: LabFleet, after: float) -> bool:
    """Begin an apply and kill it with all its threads; whether it still ran."""
    fleet.write()
    process = subprocess.Popen(
        fleet.user.command("apply", "-y", "-f", str(fleet.file)), env=fleet.user.env(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", range(TIMES))
def test_the_same_apply_converges(number: int, fleet: LabFleet) -> None:
    chance = random.Random(number)
    moments = [chance.uniform(0.5, LONGEST) for _ in range(chance.choice((1, 1, 2)))]
    for moment in moments:
        _kill(fleet, moment)
    fleet.apply()
    assert fleet.planned() == {}
    status = fleet.status("mgr")
    assert status["healthy"], status
    assert sorted(node["machine"] or "?" for node in status["nodes"]) == sorted(NAMES), "a node is there twice"
    services = fleet.user.docker("mgr", "service", "ls", "--format", "{{.Name}}").stdout.split()
    assert services == ["shop_web"]
    assert fleet.user.pymachine("ls", "-q").stdout.split() == sorted(NAMES)
