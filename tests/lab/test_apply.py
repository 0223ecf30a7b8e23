"""The smallest cluster of a course from one file: one manager and two workers on real hosts, step by step."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from lab import Host
from lab.client import docker_cli
from lab.core import Lab
from lab.fleets import BUSYBOX, STACK, LabFleet
from lab.workstation import Workstation
from pymachine.steps.engine import SetUpEngine

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

NAMES = ("mgr", "web-1", "web-2")
WORKER = "swarm: {role: worker}"
CRASH = f"""\
services:
  job:
    image: {BUSYBOX}
    command: [sh, -c, "echo no database; {{run}}"]
    stop_grace_period: 1s
    deploy: {{{{replicas: 2, endpoint_mode: dnsrr}}}}
"""
METRICS = """\
services:
  gauge:
    build: .
    command: sleep 10000
    stop_grace_period: 1s
"""


@pytest.fixture(scope="module")
def fleet(three_hosts: dict[str, Host], lab_session: Lab, tmp_path_factory: pytest.TempPathFactory) -> LabFleet:
    """The fleet, applied once."""
    user = Workstation(tmp_path_factory.mktemp("fleet"), docker_cli(), lab_session.key)
    hosts = dict(zip(NAMES, three_hosts.values(), strict=True))
    made = LabFleet(user, hosts, {"mgr": "swarm: manager", "web-1": WORKER, "web-2": WORKER})
    first = made.apply()
    assert "JOIN THE SWARM" in first.stdout
    return made


def _logins(host: Host) -> int:
    """How many SSH logins the host has seen."""
    return int(
        host.exec("journalctl -u ssh --no-pager -q | grep -c 'Accepted publickey' || true").stdout.strip() or 0
    )


def test_one_file_makes_a_swarm_of_three(fleet: LabFleet) -> None:
    nodes = fleet.nodes("mgr")
    assert {name: node["role"] for name, node in nodes.items()} == {
        "mgr": "manager", "web-1": "worker", "web-2": "worker",
    }  # fmt: skip
    assert fleet.user.inspect("web-1")["fleet"] == "shop"


def test_what_was_applied_leaves_nothing_to_do(fleet: LabFleet) -> None:
    assert fleet.planned() == {}
    assert fleet.run("plan", check=0).stdout == "fleet shop is as its inventory says: nothing to do\n"
    assert fleet.run("drift", check=0).stdout == "nothing differs from the inventory\n"


def test_an_apply_that_changes_something_opens_one_connection_a_host(fleet: LabFleet) -> None:
    before = {name: _logins(host) for name, host in fleet.hosts.items()}
    fleet.entries["web-1"] = f"{WORKER}, engine: {{labels: {{disk: ssd}}}}"
    assert fleet.planned() == {"web-1": ["configure"]}
    between = {name: _logins(host) for name, host in fleet.hosts.items()}
    assert {name: between[name] - before[name] for name in NAMES} == dict.fromkeys(NAMES, 1)
    fleet.apply()
    after = {name: _logins(host) for name, host in fleet.hosts.items()}
    assert {name: after[name] - between[name] for name in NAMES} == dict.fromkeys(NAMES, 1)
    assert "disk=ssd" in fleet.user.docker("web-1", "info", "--format", "{{.Labels}}").stdout
    assert fleet.nodes("mgr")["web-1"]["availability"] == "active"
    assert fleet.planned() == {}


def test_labels_of_a_node_change_the_node_alone(fleet: LabFleet) -> None:
    fleet.entries["web-2"] = "swarm: {role: worker, labels: {tier: web}}"
    assert fleet.planned() == {"web-2": ["adjust"]}
    fleet.apply()
    assert fleet.nodes("mgr")["web-2"]["labels"] == {"tier": "web"}


def test_a_role_changes_and_changes_back(fleet: LabFleet) -> None:
    worker = fleet.entries["web-2"]
    fleet.entries["web-2"] = "swarm: {role: manager, labels: {tier: web}}"
    assert fleet.planned() == {"web-2": ["promote"]}
    fleet.apply()
    assert fleet.nodes("mgr")["web-2"]["role"] == "manager"
    fleet.entries["web-2"] = worker
    fleet.apply()
    assert fleet.nodes("mgr")["web-2"]["role"] == "worker"
    assert fleet.planned() == {}


def test_what_somebody_changed_on_a_host_is_drift_and_put_right(fleet: LabFleet) -> None:
    host = fleet.hosts["web-1"]
    host.exec("sed -i s/disk=ssd/rack=7/ /etc/docker/daemon.json")
    found = fleet.run("drift", "--json", check=6)
    (difference,) = json.loads(found.stdout)
    assert (difference["machine"], difference["part"]) == ("web-1", "daemon.json")
    fleet.apply()
    assert json.loads(host.exec("cat /etc/docker/daemon.json").stdout)["labels"].count("disk=ssd") == 1
    assert fleet.planned() == {}


def test_a_stack_runs_on_all_three_and_goes_again(fleet: LabFleet) -> None:
    compose = fleet.user.folder / "shop.yaml"
    compose.write_text(STACK)
    fleet.more = f"stacks: [{{name: shop, file: {compose}, environment: {{COLOUR: green}}}}]"
    assert fleet.planned() == {"stack shop": ["deploy"]}
    fleet.apply()
    assert sum(fleet.places("mgr", "shop_web").values()) == 3  # apply has waited for them
    inspected = fleet.user.docker("mgr", "service", "inspect", "shop_web", "--format", "{{.Spec.Labels.colour}}")
    assert inspected.stdout.strip() == "green"
    assert fleet.planned() == {}
    fleet.more = ""
    assert fleet.planned() == {"stack shop": ["withdraw"]}
    fleet.apply()
    assert "shop_web" not in fleet.user.docker("mgr", "service", "ls").stdout


@pytest.mark.soak(120)
def test_a_stack_whose_tasks_fail_is_named_with_its_log_and_seen_until_it_is_mended(fleet: LabFleet) -> None:
    compose = fleet.user.folder / "crash.yaml"
    compose.write_text(CRASH.format(run="exit 7"))
    fleet.more = f"stacks: [{{name: crash, file: {compose}, wait: 30s}}]"
    failed = fleet.apply(check=5)
    told = failed.stderr.split("not every service of stack crash is as it should be", 1)[-1]
    assert re.search(r"crash_job: [01] of 2 tasks run: task: non-zero exit \(7\)", told), told
    assert "no database" in told
    assert fleet.planned() == {"stack crash": ["deploy"]}
    assert "crash_job" in fleet.run("drift", check=6).stdout
    assert re.search(r"crash_job +[01]/2", fleet.run("fleet status", check=0).stdout)
    compose.write_text(CRASH.format(run="sleep 10000"))
    fleet.apply()
    assert fleet.planned() == {}
    assert "2/2" in fleet.run("fleet status", check=0).stdout
    fleet.more = ""
    fleet.apply()


@pytest.mark.soak(60)
def test_a_compose_project_is_brought_up_on_one_machine_and_taken_down(fleet: LabFleet) -> None:
    folder = fleet.user.folder / "metrics"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM busybox:fleet\nRUN echo built > /told\n")
    (folder / "compose.yaml").write_text(METRICS)
    fleet.more = f"stacks: [{{name: metrics, file: {folder}/compose.yaml, on: web-2}}]"
    assert fleet.planned() == {"stack metrics": ["deploy"]}
    fleet.apply()
    ask = ("ps", "--format", "{{.Names}}")
    assert "metrics-gauge-1" in fleet.user.docker("web-2", *ask).stdout
    assert fleet.user.docker("web-2", "exec", "metrics-gauge-1", "cat", "/told").stdout == "built\n"
    assert fleet.planned() == {}
    fleet.user.docker("web-2", "kill", "metrics-gauge-1")
    assert fleet.planned() == {"stack metrics": ["deploy"]}
    assert "metrics-gauge-1" in fleet.run("drift", check=6).stdout
    assert re.search(r"metrics-gauge +0/1 ", fleet.run("fleet status", check=0).stdout)
    fleet.apply()
    assert fleet.planned() == {}
    fleet.more = ""
    fleet.apply()
    assert "metrics-gauge-1" not in fleet.user.docker("web-2", "ps", "-a", "--format", "{{.Names}}").stdout


def test_the_fleet_is_seen_and_spoken_to_together(fleet: LabFleet) -> None:
    table = fleet.run("fleet status").stdout
    assert re.search(r"^mgr +ssh +Running +\S+ +leader", table, re.MULTILINE), table
    same = fleet.run("fleet run", "--", "echo", "hello")
    assert same.stdout == "== mgr, web-1, web-2\nhello\n"
    some = fleet.run("fleet run", "--limit", "worker", "--", "exit 3", check=5)
    assert "== web-1, web-2 (exit code 3)" in some.stdout
    images = fleet.run("fleet docker", "--", "images", "--format", "{{.Tag}}", "busybox")
    assert images.stdout == "== mgr, web-1, web-2\nfleet\n"


def test_a_second_apply_is_told_who_holds_the_fleet(fleet: LabFleet) -> None:
    from pymachine.store.sqlite import SqliteStore

    with SqliteStore.open(fleet.user.store) as store, store.lease("fleet:shop", "apply shop"):
        refused = fleet.apply(check=1)
    assert "fleet shop is being worked on by" in refused.stderr


@pytest.mark.soak(60)
def test_a_worker_goes_and_comes_again(fleet: LabFleet) -> None:
    entry = fleet.entries.pop("web-2")
    assert fleet.planned() == {"web-2": ["remove"]}
    fleet.apply()
    assert set(fleet.nodes("mgr")) == {"mgr", "web-1"}
    assert fleet.hosts["web-2"].run("docker info --format '{{.Swarm.LocalNodeState}}'").stdout.strip() == "inactive"
    fleet.entries["web-2"] = entry
    fleet.apply()
    assert set(fleet.nodes("mgr")) == set(NAMES)
    assert fleet.planned() == {}


def test_a_host_that_is_down_is_told_and_the_rest_goes_on(fleet: LabFleet, tmp_path: Path) -> None:
    fleet.hosts["web-1"].exec("systemctl stop ssh.socket ssh || systemctl stop ssh", check=False)
    kept, fleet.entries["web-2"] = fleet.entries["web-2"], WORKER
    try:
        done = fleet.apply(check=5)
        assert "error: web-1:" in done.stderr
        assert fleet.nodes("mgr")["web-2"]["labels"] == {}
    finally:
        fleet.entries["web-2"] = kept
        fleet.hosts["web-1"].exec("systemctl start ssh")


@pytest.mark.soak(60)
@pytest.mark.parametrize("moment", ["swarm drain", SetUpEngine.title, "starting the engine"])
def test_ctrl_c_gives_the_only_manager_back(fleet: LabFleet, moment: str) -> None:
    fleet.entries["mgr"] = f"swarm: manager, engine: {{env: ['AT={moment}']}}"
    fleet.write()
    words = fleet.user.command("--progress", "plain", "apply", "-y", "-f", str(fleet.file))
    with subprocess.Popen(
        words, env=fleet.user.env(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        assert run.stdout is not None
        said = []
        for line in run.stdout:
            said.append(line)
            if moment in line:
                run.send_signal(signal.SIGINT)
                break
        said.extend(run.stdout)
    assert run.returncode == 130, "".join(said)
    told = next(line for line in said if line.startswith("error: interrupted; "))
    assert "mgr" in told
    assert fleet.nodes("mgr")["mgr"]["availability"] == "active"
    fleet.apply()
    assert fleet.nodes("mgr")["mgr"]["availability"] == "active"
    assert fleet.planned() == {}


@pytest.mark.soak(90)
@pytest.mark.parametrize("left", ["nothing", "our own notes"])
def test_a_worker_that_was_installed_again_is_installed_and_joins_again(fleet: LabFleet, left: str) -> None:
    host = fleet.hosts["web-2"]
    before = fleet.nodes("mgr")
    wiped = "/var/lib/docker /var/lib/containerd /etc/docker /etc/systemd/system/docker.service.d"
    host.exec(
        "systemctl stop docker.socket docker containerd; packages=$(dpkg-query -W -f '${Package}\n' | "
        "grep -E '^(docker|containerd|runc)'); apt-mark unhold $packages; "
        "DEBIAN_FRONTEND=noninteractive apt-get -y -q purge $packages && "
        f"rm -rf {wiped} {'/var/lib/pymachine' if left == 'nothing' else ''}"
    )
    assert fleet.planned() == {"web-2": ["install", "join"]}
    fleet.apply()
    assert {name: node["role"] for name, node in fleet.nodes("mgr").items()} == {
        name: node["role"] for name, node in before.items()
    }
    assert fleet.status("mgr")["healthy"]
    assert fleet.planned() == {}


def test_destroy_leaves_hosts_without_a_trace(fleet: LabFleet) -> None:
    fleet.run("destroy", "-y")
    assert fleet.user.pymachine("ls", "-q").stdout == ""
    for host in fleet.hosts.values():
        assert host.exec("docker info --format '{{.Swarm.LocalNodeState}}'").stdout.strip() == "inactive"
        assert host.exec("ls /var/lib/pymachine 2>/dev/null || true").stdout == ""
