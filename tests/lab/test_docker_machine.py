"""A host as docker-machine leaves it becomes a machine of ours: its engine answers at once, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import Host
from lab.docker_machine import INFO, PLACE, set_up_by_docker_machine
from lab.workstation import Workstation
from unit.docker_machine.their_store import TheirStore

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]
LOGINS = "journalctl -t sshd -t sshd-session --no-pager | grep -c Accepted"
TENANT = "docker inspect -f '{{.State.Pid}} {{.State.StartedAt}}' tenant"
STATE = "systemctl show docker -p MainPID -p ActiveEnterTimestampMonotonic; docker inspect -f '{{.State.Pid}}' tenant"


@pytest.fixture
def theirs(engine_host: FreshHost, workstation: Workstation) -> tuple[Host, TheirStore]:
    """A host with docker-machine's drop-in and certificates, a container at work, and the store that made it so."""
    host = engine_host()
    store = set_up_by_docker_machine(host, workstation)
    host.exec("docker import - house:v1 < /root/busybox.tar && docker run -d --name tenant house:v1 sleep 100000")
    return host, store


def _files(host: Host) -> str:
    return host.exec("find /etc /root/.ssh -xdev -type f -exec sha256sum {} + | sort -k2 | sha256sum").stdout


def test_its_engine_answers_at_once_and_the_host_is_left_alone(
    theirs: tuple[Host, TheirStore], workstation: Workstation
) -> None:
    host, _ = theirs
    before, state = _files(host), host.exec(STATE).stdout
    logins = host.exec(LOGINS, check=False).stdout
    told = workstation.pymachine("import", "docker-machine", "-y").stdout
    assert f"tcp://{host.address}:2376" in told
    assert workstation.docker("web", "ps", "--format", "{{.Names}}").stdout.split() == ["tenant"]
    assert "Running" in workstation.pymachine("status", "web").stdout
    assert host.exec(LOGINS, check=False).stdout == logins, "nobody logged in so far"
    assert workstation.pymachine("ssh", "web", "hostname").stdout == host.exec("hostname").stdout
    assert (_files(host), host.exec(STATE).stdout) == (before, state)
    _provisions_and_releases(host, workstation)


def _provisions_and_releases(host: Host, workstation: Workstation) -> None:
    """The options move, the containers stay, and the removal puts back every byte."""
    before, info, tenant = _files(host), host.exec(INFO).stdout, host.exec(TENANT).stdout
    announced = workstation.pymachine("provision", "--dry-run", "web").stdout
    assert PLACE in announced
    assert _files(host) == before
    workstation.pymachine("provision", "web")
    assert host.exec(f"cat {PLACE}", check=False).stdout == ""
    assert host.exec(INFO).stdout == info
    assert host.exec(TENANT).stdout == tenant
    assert "--label" not in host.exec("tr '\\0' ' ' < /proc/$(pidof dockerd)/cmdline").stdout
    assert "PLACE=house" in host.exec("tr '\\0' '\\n' < /proc/$(pidof dockerd)/environ").stdout.splitlines()
    assert workstation.docker("web", "ps", "--format", "{{.Names}}").stdout.split() == ["tenant"]
    pid = host.exec(STATE).stdout
    workstation.pymachine("provision", "web")
    assert host.exec(STATE).stdout == pid, "there was nothing left to do"
    workstation.pymachine("rm", "-y", "web")
    assert (_files(host), host.exec(INFO).stdout, host.exec(TENANT).stdout) == (before, info, tenant)
