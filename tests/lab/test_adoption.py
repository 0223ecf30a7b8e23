"""A host that already runs an engine is adopted unharmed, and released as it was."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lab import Host
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]

DAEMON_JSON = {
    "log-driver": "json-file",
    "log-opts": {"max-size": "1m"},
    "labels": ["owner=somebody"],
    "default-shm-size": "96M",
}
DROP_IN = "[Service]\nEnvironment=SOMEBODYS=variable\nLimitNOFILE=123456\n"


@pytest.fixture
def inhabited(engine_host: FreshHost) -> Host:
    """A host with docker.io, a container at work, somebody's daemon.json and somebody's drop-in."""
    host = engine_host()
    host.exec("mkdir -p /etc/docker /etc/systemd/system/docker.service.d")
    host.exec("cat > /etc/docker/daemon.json", input=json.dumps(DAEMON_JSON, indent=1))
    host.exec("cat > /etc/systemd/system/docker.service.d/limits.conf", input=DROP_IN)
    host.exec("systemctl daemon-reload && systemctl restart docker")
    host.exec("docker import - house:v1 < /root/busybox.tar")
    host.exec("docker run -d --name tenant --restart unless-stopped house:v1 sleep 100000")
    return host


def _files(host: Host) -> str:
    return host.exec("find /etc/docker /etc/systemd/system -type f -exec sha256sum {} + | sort -k2").stdout


def test_adoption_keeps_everything_and_rm_gives_it_back(inhabited: Host, workstation: Workstation) -> None:
    host = inhabited
    before = _files(host)
    hostname = host.exec("hostname").stdout
    packages = host.exec("dpkg -l | sha256sum").stdout
    tenant = host.exec("docker inspect -f '{{.State.Pid}} {{.State.StartedAt}}' tenant").stdout

    created = workstation.create("adopted", host.address, "--engine-label", "rack=7")
    assert "tenant" in created.stderr, "what happens to running containers is announced"
    assert host.exec("docker inspect -f '{{.State.Pid}} {{.State.StartedAt}}' tenant").stdout == tenant
    assert "house:v1" in workstation.docker("adopted", "images", "--format", "{{.Repository}}:{{.Tag}}").stdout
    assert workstation.docker("adopted", "ps", "--format", "{{.Names}}").stdout.split() == ["tenant"]
    assert host.exec("hostname").stdout == hostname
    assert host.exec("dpkg -l | sha256sum").stdout == packages
    written = json.loads(host.exec("cat /etc/docker/daemon.json").stdout)
    assert {key: written[key] for key in ("log-driver", "log-opts", "default-shm-size")} == {
        key: DAEMON_JSON[key] for key in ("log-driver", "log-opts", "default-shm-size")
    }
    assert written["labels"][0] == "owner=somebody"
    assert "rack=7" in written["labels"]
    assert host.exec("systemctl show -p LimitNOFILE --value docker").stdout.strip() == "123456"

    workstation.pymachine("rm", "-y", "adopted")
    assert json.loads(host.exec("cat /etc/docker/daemon.json").stdout) == DAEMON_JSON
    assert _files(host) == before
    assert host.exec("docker inspect -f '{{.State.Status}}' tenant").stdout.strip() == "running"
    assert host.exec("ss -Hltn sport = :2376").stdout == ""


def test_conflicts_are_named_together_before_anything_is_touched(inhabited: Host, workstation: Workstation) -> None:
    before = _files(inhabited)
    daemon = inhabited.exec("pidof dockerd").stdout
    refused = workstation.create(
        "adopted",
        inhabited.address,
        "--engine-opt",
        "log-driver=none",
        "--engine-opt",
        "default-shm-size=64M",
        check=3,
    )
    assert "log-driver" in refused.stderr
    assert "default-shm-size" in refused.stderr
    assert _files(inhabited) == before
    assert inhabited.exec("pidof dockerd").stdout == daemon
    assert workstation.pymachine("ls", "-q").stdout == ""


def test_an_option_the_engine_refuses_is_rolled_back(inhabited: Host, workstation: Workstation) -> None:
    before = _files(inhabited)
    failed = workstation.create("adopted", inhabited.address, "--engine-opt", "no-such-option=1", check=1)
    assert "no-such-option" in failed.stderr, "the engine's own words are shown"
    assert _files(inhabited) == before
    assert inhabited.exec("docker inspect -f '{{.State.Status}}' tenant").stdout.strip() == "running"
    workstation.create("adopted", inhabited.address)
    workstation.docker("adopted", "version")


@pytest.mark.soak(20)
def test_set_hostname_is_done_when_asked_and_undone_by_rm(inhabited: Host, workstation: Workstation) -> None:
    hostname = inhabited.exec("hostname").stdout
    workstation.create("adopted", inhabited.address, "--set-hostname")
    assert inhabited.exec("hostname").stdout.strip() == "adopted"
    workstation.pymachine("rm", "-y", "adopted")
    assert inhabited.exec("hostname").stdout == hostname


@pytest.mark.soak(20)
def test_a_host_that_is_a_machine_already_is_refused_to_a_second_owner(
    inhabited: Host, workstation: Workstation, second_workstation: Workstation
) -> None:
    workstation.create("adopted", inhabited.address)
    refused = second_workstation.create("mine", inhabited.address, check=3)
    assert "adopted" in refused.stderr
    workstation.docker("adopted", "version")
