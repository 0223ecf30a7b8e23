"""What the survey of a real host finds out by asking: refused before anything is touched, or kept by the set-up."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lab import Host
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]
BY_FILE = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock\n"
MOVED = "/srv/run/docker.sock"
TENANT = "docker inspect -f '{{.State.Pid}} {{.State.StartedAt}}' tenant"


def _state(host: Host) -> tuple[str, str]:
    """What a refusal must leave as it was: files and what runs."""
    files = host.exec("find /etc /var/lib/pymachine -xdev -type f -newer /root/began 2>/dev/null; true").stdout
    return files, host.exec("pidof dockerd; pidof -s sleep; true").stdout


def _refused(host: Host, workstation: Workstation, *options: str) -> str:
    """Have a create refused, dry or not, and return what it said."""
    host.exec("sleep 0.1; touch /root/began; sleep 0.1")
    before = _state(host)
    for dry in (("--dry-run",), ()):
        said = workstation.create("node1", host.address, *options, *dry, check=3).stderr
    assert _state(host) == before
    assert workstation.pymachine("ls", "-q").stdout == ""
    return said


@pytest.mark.soak(60)
def test_engines_are_asked_where_they_are_and_what_cannot_be_asked_is_refused(
    engine_host: FreshHost, workstation: Workstation
) -> None:
    host = engine_host()
    host.exec(
        "mkdir -p /srv/run /etc/docker /etc/systemd/system/docker.service.d /etc/systemd/system/docker.socket.d"
    )
    host.exec("systemctl start docker; docker import - house:v1 </root/busybox.tar", timeout=120)
    host.exec("docker run -d --name tenant --restart unless-stopped house:v1 sleep 100000")

    host.exec("kill -STOP $(pidof dockerd)")
    assert "/run/docker.sock" in _refused(host, workstation), "an engine that hangs may run anything"
    host.exec("kill -CONT $(pidof dockerd)")

    ports = "[Socket]\nListenStream=127.0.0.1:2375\n"
    host.exec("cat >/etc/systemd/system/docker.socket.d/port.conf", input=ports)
    host.exec("systemctl daemon-reload; systemctl stop docker docker.socket; systemctl start docker.socket docker")
    assert "127.0.0.1:2375" in _refused(host, workstation)
    assert host.exec("curl -s http://127.0.0.1:2375/_ping").stdout == "OK", "its users are served as before"

    host.exec("rm /etc/systemd/system/docker.socket.d/port.conf; systemctl daemon-reload; docker stop -t 0 tenant")
    host.exec("systemctl stop docker docker.socket; systemctl mask docker.service")
    assert "docker.service" in _refused(host, workstation)
    host.exec("systemctl unmask docker.service; setsid dockerd -H unix:///srv/d.sock >/srv/d.log 2>&1 </dev/null &")
    host.exec("until docker -H unix:///srv/d.sock start tenant; do sleep 0.5; done", timeout=120)
    assert host.exec("pidof dockerd").stdout.strip() in _refused(host, workstation)
    host.exec("kill $(pidof dockerd); while pidof dockerd; do sleep 0.2; done", timeout=120)

    host.exec("cat >/etc/systemd/system/docker.service.d/own.conf", input=BY_FILE)
    host.exec("cat >/etc/docker/daemon.json", input=json.dumps({"hosts": [f"unix://{MOVED}"]}))
    host.exec("ip link add br-mgmt type bridge; ip addr add 10.99.7.1/24 dev br-mgmt; ip link set br-mgmt up")
    host.exec("systemctl daemon-reload; systemctl start docker", timeout=120)
    ask = f"DOCKER_HOST=unix://{MOVED} {TENANT}"
    tenant = host.exec(f"DOCKER_HOST=unix://{MOVED} docker start tenant >/dev/null; {ask}").stdout
    created = workstation.create("node1", host.address)
    assert "tenant" in created.stderr
    assert host.exec(ask).stdout == tenant, "it ran through the restart"
    addresses = json.loads(workstation.pymachine("inspect", "node1").stdout)["addresses"]
    assert {host.address, "10.99.7.1"} <= set(addresses)
    assert "172.17.0.1" not in addresses
    workstation.pymachine("rm", "-y", "node1")
    assert host.exec(ask).stdout == tenant
