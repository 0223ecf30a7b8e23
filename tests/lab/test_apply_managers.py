"""Three managers from one file: the leader is powered off, the cluster goes on, apply replaces it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import Host
from lab.client import docker_cli
from lab.core import Lab
from lab.fleets import BUSYBOX, LabFleet, awaited, with_image
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900), pytest.mark.soak(150)]

NAMES = ("mgr-1", "mgr-2", "mgr-3")


@pytest.fixture(scope="module")
def fleet(
    three_hosts: dict[str, Host],
    module_engine_host: Callable[..., Host],
    lab_session: Lab,
    tmp_path_factory: pytest.TempPathFactory,
) -> LabFleet:
    """The fleet, applied, and a host to spare."""
    user = Workstation(tmp_path_factory.mktemp("managers"), docker_cli(), lab_session.key)
    spare = module_engine_host()
    with_image([spare])
    hosts = {**dict(zip(NAMES, three_hosts.values(), strict=True)), "spare": spare}
    made = LabFleet(user, hosts, dict.fromkeys(NAMES, "swarm: manager"))
    made.apply()
    return made


def test_three_managers_lead(fleet: LabFleet) -> None:
    status = fleet.status("mgr-1")
    assert (status["quorum"]["managers"], status["quorum"]["may_fail"]) == (3, 1)
    assert fleet.planned() == {}


def test_the_leader_dies_and_another_host_takes_its_place(fleet: LabFleet) -> None:
    leader = fleet.status("mgr-1")["leader"]
    others = [name for name in NAMES if name != leader]
    fleet.user.docker(
        others[0], "service", "create", "--detach", "--no-resolve-image", "--endpoint-mode", "dnsrr", "--name", "web",
        "--replicas", "2", BUSYBOX, "sleep", "10000",
    )  # fmt: skip
    awaited(lambda: sum(fleet.places(others[0], "web").values()) == 2, "two tasks")
    fleet.hosts[leader].stop()
    awaited(lambda: fleet.status(others[0])["leader"] in others, "another leader")
    done = fleet.run("plan", check=None)
    assert done.returncode == 5
    assert leader in done.stderr

    fleet.hosts = {**fleet.hosts, leader: fleet.hosts["spare"]}
    assert fleet.planned() == {leader: ["replace", "join"]}
    refused = fleet.apply(check=3)
    assert "--replace" in refused.stderr
    fleet.apply("--replace")
    status = fleet.status(others[0])
    assert status["healthy"], status
    assert sorted(node["machine"] for node in status["nodes"]) == sorted(NAMES)
    assert status["quorum"]["managers"] == 3
    awaited(lambda: sum(fleet.places(others[0], "web").values()) == 2, "two tasks again")
    assert fleet.planned() == {}
