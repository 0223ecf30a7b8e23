"""Containers stay up through everything that restarts their engine, as it is announced, however often."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lab import Host
from lab.images import rootfs
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]
RUN = "docker run -d --name web --restart no house:v1 sleep 100000"


def _life(host: Host) -> str:
    """The container's process and when it began: the same only if it was never stopped."""
    return host.exec("docker inspect -f '{{.State.Status}} {{.State.Pid}} {{.State.StartedAt}}' web").stdout


def _live_restore(host: Host) -> str:
    return host.exec("docker info -f '{{.LiveRestoreEnabled}}'").stdout.strip()


def test_an_engine_of_ours_keeps_them_through_provision_rm_and_create(
    fresh_host: FreshHost, workstation: Workstation
) -> None:
    host = fresh_host()
    workstation.create("node1", host.address, "--engine-install", "distro")
    workstation.docker("node1", "import", str(rootfs()), "house:v1")
    host.exec(RUN)
    life = _life(host)
    for label in ("a=1", "a=2"):
        told = workstation.pymachine("provision", "--engine-label", label, "node1").stderr
        assert "container web keeps running" in told
        assert _life(host) == life
        assert _live_restore(host) == "false", "it was on for the restart alone"
    assert "live-restore" not in host.exec("cat /etc/docker/daemon.json").stdout
    workstation.pymachine("rm", "-y", "node1")
    assert _life(host) == life
    workstation.create("node1", host.address)
    assert _life(host) == life
    workstation.pymachine("provision", "--engine-label", "a=3", "node1")
    assert _life(host) == life


@pytest.mark.soak(25)
def test_an_adopted_engine_keeps_them_over_two_lives_as_a_machine(
    engine_host: FreshHost, workstation: Workstation
) -> None:
    host = engine_host()
    host.exec("docker import - house:v1 < /root/busybox.tar")
    host.exec(RUN)
    life = _life(host)
    for _ in range(2):
        workstation.create("adopted", host.address)
        assert _life(host) == life
        workstation.pymachine("rm", "-y", "adopted")
        assert _life(host) == life
        assert _live_restore(host) == "false", "as it was before"


@pytest.mark.soak(20)
def test_an_engine_that_runs_with_live_restore_and_would_start_without_keeps_them(
    engine_host: FreshHost, workstation: Workstation
) -> None:
    host = engine_host()
    host.exec("docker import - house:v1 < /root/busybox.tar")
    host.exec(RUN)
    life = _life(host)
    host.exec("mkdir -p /etc/docker && echo '{\"live-restore\": true}' > /etc/docker/daemon.json")
    host.exec("systemctl reload docker && sleep 1 && rm /etc/docker/daemon.json && systemctl reload docker")
    assert _live_restore(host) == "true"
    workstation.create("adopted", host.address)
    assert _life(host) == life


def test_an_option_the_engine_refuses_at_its_start_leaves_them_running(
    engine_host: FreshHost, workstation: Workstation
) -> None:
    host = engine_host()
    host.exec("docker import - house:v1 < /root/busybox.tar")
    host.exec(RUN)
    life = _life(host)
    workstation.create("adopted", host.address, "--engine-opt", "seccomp-profile=/no/such", check=1)
    assert _life(host) == life
    assert _live_restore(host) == "false", "as it was before"


@pytest.mark.soak(25)
def test_a_plain_no_to_live_restore_wins_and_lets_the_engine_join_a_swarm(
    engine_host: FreshHost, workstation: Workstation
) -> None:
    host = engine_host()
    host.exec("docker import - house:v1 < /root/busybox.tar")
    host.exec(RUN)
    workstation.create("adopted", host.address)
    assert json.loads(host.exec("cat /etc/docker/daemon.json").stdout)["live-restore"] is True
    told = workstation.pymachine("provision", "--engine-opt", "live-restore=false", "adopted").stderr
    assert "container web will stop" in told
    assert json.loads(host.exec("cat /etc/docker/daemon.json").stdout)["live-restore"] is False
    workstation.docker("adopted", "swarm", "init", "--advertise-addr", host.address)
