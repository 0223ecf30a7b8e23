"""A Swarm of real hosts, made and changed by hand: the smallest cluster of a course, one manager and two workers.

The outer kernel has no IPVS, so services are published with mode=host and found by dnsrr.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import Host
from lab.client import docker_cli
from lab.core import Lab
from lab.fleets import BUSYBOX
from lab.workstation import Workstation
from patience import until

pytestmark = pytest.mark.lab

NAMES = ("mgr", "one", "two")


@pytest.fixture(scope="module")
def user(lab_session: Lab, tmp_path_factory: pytest.TempPathFactory) -> Workstation:
    folder = tmp_path_factory.mktemp("swarm")
    return Workstation(folder, docker_cli(), lab_session.key)


@pytest.fixture(scope="module")
def hosts(three_hosts: dict[str, Host], user: Workstation) -> Iterator[dict[str, Host]]:
    """Three machines on hosts that have an engine, with an image on each."""
    for name, host in three_hosts.items():
        user.create(name, host.address)
    yield three_hosts
    user.pymachine("rm", "-y", *three_hosts)


class Cluster:
    """What the tests ask of it, through the real client on the manager."""

    def __init__(self, user: Workstation, manager: str) -> None:
        self.user = user
        self.manager = manager

    def docker(self, *words: str) -> str:
        return self.user.docker(self.manager, *words).stdout.strip()

    def swarm(self, *words: str, check: int | None = 0) -> str:
        done = self.user.pymachine("swarm", *words, check=check)
        return done.stdout + done.stderr

    def status(self, name: str | None = None) -> Any:
        return json.loads(self.user.pymachine("swarm", "status", "--json", name or self.manager).stdout)

    def node(self, name: str) -> Any:
        return next(node for node in self.status()["nodes"] if node["machine"] == name)

    def serve(self, name: str, *options: str) -> None:
        words = ("--detach", "--no-resolve-image", "--endpoint-mode", "dnsrr", "--stop-grace-period", "1s")
        self.docker("service", "create", "--name", name, *words, *options, BUSYBOX, "sleep", "10000")

    def places(self, service: str) -> Counter[str]:
        """On which hosts the service's tasks run now."""
        words = ("--filter", "desired-state=running", "--format", "{{.Node}} {{.CurrentState}}")
        lines = self.docker("service", "ps", service, *words).splitlines()
        return Counter(line.split()[0] for line in lines if line.split()[1] == "Running")

    def settle(self, service: str, wanted: Callable[[Counter[str]], bool], patience: float = 60) -> Counter[str]:
        end = time.monotonic() + patience
        while not wanted(found := self.places(service)):
            assert time.monotonic() < end, f"{service} runs on {dict(found)}"
            time.sleep(0.5)
        return found


@pytest.fixture(scope="module")
def cluster(hosts: dict[str, Host], user: Workstation) -> Cluster:
    made = Cluster(user, "mgr")
    made.swarm("create", "mgr", "--worker", "one", "--worker", "two")
    return made


def test_three_nodes_with_the_machines_names(cluster: Cluster) -> None:
    status = cluster.status()
    assert status["healthy"], status
    assert {node["machine"]: node["role"] for node in status["nodes"]} == {
        "mgr": "manager", "one": "worker", "two": "worker",
    }  # fmt: skip
    assert (status["leader"], status["quorum"]["managers"]) == ("mgr", 1)
    assert cluster.user.inspect("one")["swarm"]["cluster"] == status["cluster"]


def test_create_again_and_join_again_change_nothing(cluster: Cluster) -> None:
    before = cluster.status()
    cluster.swarm("create", "mgr", "--worker", "one", "--worker", "two")
    cluster.swarm("join", "--to", "one", "two")
    assert cluster.status() == before


def test_a_replicated_and_a_global_service_run_on_all_three_and_scale(cluster: Cluster) -> None:
    cluster.serve("spread", "--replicas", "3")
    cluster.serve("everywhere", "--mode", "global")
    assert cluster.settle("everywhere", lambda on: on == Counter(NAMES))
    assert cluster.settle("spread", lambda on: on == Counter(NAMES))
    cluster.docker("service", "scale", "--detach", "spread=6")
    assert cluster.settle("spread", lambda on: on == Counter(NAMES * 2))


def test_a_task_that_is_killed_comes_back(cluster: Cluster, hosts: dict[str, Host]) -> None:
    def container() -> str:
        return hosts["one"].run("docker ps -q --filter label=com.docker.swarm.service.name=everywhere").stdout.strip()

    killed = container()
    hosts["one"].run(f"docker kill {killed}")
    until(lambda: container() not in ("", killed), "another container")
    cluster.settle("everywhere", lambda on: on == Counter(NAMES))


def test_an_overlay_network_between_hosts(cluster: Cluster, hosts: dict[str, Host]) -> None:
    cluster.docker("network", "create", "-d", "overlay", "--attachable", "between")
    cluster.serve("far", "--network", "between", "--constraint", "node.hostname==two")
    cluster.settle("far", lambda on: on == Counter(["two"]))
    ping = "for n in 1 2 3 4 5 6 7 8; do ping -c1 -W2 far && exit 0; sleep 1; done; exit 1"
    words = ("run", "--rm", "--network", "between", BUSYBOX, "sh", "-c", ping)
    assert "1 packets received" in cluster.user.docker("one", *words).stdout
    cluster.docker("service", "rm", "far")


def test_promote_demote_drain_activate_and_labels(cluster: Cluster) -> None:
    cluster.swarm("promote", "one")
    assert cluster.node("one")["reachable"] is True
    assert "last manager" not in cluster.swarm("demote", "one")
    assert cluster.node("one")["role"] == "worker"
    assert "last manager" in cluster.swarm("demote", "mgr", check=3)
    cluster.swarm("drain", "one")
    assert cluster.places("spread")["one"] == 0
    cluster.settle("spread", lambda on: on.total() == 6)
    cluster.swarm("activate", "one")
    cluster.swarm("label", "one", "tier=web", "disk=fast")
    cluster.swarm("label", "one", "disk-")
    assert cluster.node("one")["labels"] == {"tier": "web"}


def test_rm_of_a_member_is_refused(cluster: Cluster) -> None:
    refused = cluster.user.pymachine("rm", "-y", "one", check=3)
    assert "pymachine swarm leave one" in refused.stderr


def test_a_worker_cut_off_the_network_moves_its_tasks(cluster: Cluster, hosts: dict[str, Host]) -> None:
    hosts["two"].cut()
    try:
        cluster.settle("spread", lambda on: on["two"] == 0 and on.total() >= 6)
        assert cluster.node("two")["state"] == "down"
    finally:
        hosts["two"].mend()
    _until(lambda: cluster.status()["healthy"])


def test_a_worker_leaves_and_joins_again(cluster: Cluster) -> None:
    cluster.swarm("leave", "two")
    assert [node["machine"] for node in cluster.status()["nodes"]] == ["mgr", "one"]
    assert cluster.user.inspect("two")["swarm"] is None
    cluster.swarm("join", "--to", "mgr", "two")
    assert cluster.settle("everywhere", lambda on: on == Counter(NAMES))
    assert len(cluster.status()["nodes"]) == 3


def test_new_tokens_and_a_new_authority(cluster: Cluster) -> None:
    token = cluster.docker("swarm", "join-token", "-q", "worker")
    cluster.swarm("rotate", "--ca", "mgr")
    assert cluster.docker("swarm", "join-token", "-q", "worker") != token
    assert cluster.status()["healthy"]


def test_the_whole_swarm_is_dissolved(cluster: Cluster) -> None:
    assert "last manager" in cluster.swarm("leave", "mgr", check=3)
    cluster.swarm("leave", "-y", "--dissolve", "mgr", "two", "one")
    assert "member" in cluster.swarm("status", check=3)
    told = cluster.user.docker("mgr", "info", "--format", "{{.Swarm.LocalNodeState}}").stdout
    assert told.strip() == "inactive"


def _until(true: Callable[[], bool], patience: float = 60) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end
        time.sleep(0.5)
