"""kill -9 of apply at random moments, then apply: it converges, and nothing is there twice."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from lab import Host
from lab.client import docker_cli
from lab.core import Lab
from lab.fleets import STACK, LabFleet
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

NAMES = ("mgr", "web-1", "web-2")
WORKER = "swarm: {role: worker}"
# How often it is killed; the whole proof is twenty. Once in every run, the others take turns.
TIMES = int(os.environ.get("PYMACHINE_KILLS", "6"))
NUMBERS = [0, *(pytest.param(number, marks=pytest.mark.soak(60)) for number in range(1, TIMES))]
# An undisturbed apply tells more lines than this, however fast the computer is.
LINES = 30


@pytest.fixture(scope="module")
def hosts(three_hosts: dict[str, Host]) -> dict[str, Host]:
    """Hosts with an engine: an apply takes half a minute."""
    return dict(zip(NAMES, three_hosts.values(), strict=True))


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


def _kill(fleet: LabFleet, line: int, pause: float) -> None:
    """Begin an apply and kill it with all its threads, a moment after it has told so many lines of its progress."""
    fleet.write()
    words = fleet.user.command("--progress", "plain", "apply", "-y", "-f", str(fleet.file))
    with subprocess.Popen(
        words, env=fleet.user.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        told = list(itertools.islice(process.stderr, line))
        time.sleep(pause)
        process.kill()
    assert process.returncode == -signal.SIGKILL, f"it was over before it could be killed:\n{''.join(told)}"


@pytest.mark.parametrize("number", NUMBERS)
def test_the_same_apply_converges(number: int, fleet: LabFleet) -> None:
    chance = random.Random(number)
    _kill(fleet, chance.randint(1, LINES), chance.uniform(0, 0.5))
    if number % 3 == 2:
        _kill(fleet, 1, 0)
    fleet.apply()
    assert fleet.planned() == {}
    status = fleet.status("mgr")
    assert status["healthy"], status
    assert sorted(node["machine"] or "?" for node in status["nodes"]) == sorted(NAMES), "a node is there twice"
    services = fleet.user.docker("mgr", "service", "ls", "--format", "{{.Name}}").stdout.split()
    assert services == ["shop_web"]
    assert fleet.user.pymachine("ls", "-q").stdout.split() == sorted(NAMES)
