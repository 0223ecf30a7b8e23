"""Where opening the port and protecting it could come apart, and commands that fail: what worked still does."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lab import Host
from lab.cut_off import Watch
from lab.workstation import Workstation

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]
ELSEWHERE = "/opt/docker/e.json"
CONTINUED = f"""[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// \\
    # a note of somebody's
    --config-file={ELSEWHERE}
"""
# As cloud-init does that is at work for ever, as `timeout` tells of it; and when a part of it failed.
ENDLESS_CLOUD_INIT = "#!/bin/sh\nexit 124\n"
FAILED_CLOUD_INIT = """#!/bin/sh
echo '{"errors": ["scripts_user failed"]}'
exit 1
"""


def _etc(host: Host) -> str:
    return host.exec("find /etc/docker /etc/systemd /opt -type f -exec sha256sum {} + | sort -k2").stdout


def _crash(host: Host) -> None:
    """Have dockerd crash, and systemd start it again."""
    daemon = host.exec("pidof dockerd").stdout.strip()
    host.exec("systemctl kill -s KILL docker")
    again = f'[ "$(systemctl show -p MainPID --value docker)" != {daemon} ] && systemctl is-active -q docker'
    host.exec(f"until {again}; do sleep 0.2; done", timeout=120)


def test_a_configuration_elsewhere_on_a_continued_line(engine_host: FreshHost, workstation: Workstation) -> None:
    host = engine_host()
    host.exec("mkdir -p /etc/systemd/system/docker.service.d /opt/docker")
    host.exec("cat >/etc/systemd/system/docker.service.d/own.conf", input=CONTINUED)
    host.exec(f"cat >{ELSEWHERE}", input='{"labels": ["owner=somebody"]}\n')
    host.exec("systemctl daemon-reload; systemctl restart docker")
    before = _etc(host)
    with Watch(host.address) as watch:
        workstation.create("node1", host.address, "--engine-label", "rack=7")
        labels = json.loads(workstation.docker("node1", "info", "--format", "{{json .Labels}}").stdout)
        assert {"owner=somebody", "rack=7"} <= set(labels), "the file that dockerd reads is the one that is written"
        _crash(host)
        workstation.pymachine("rm", "-y", "node1")
    assert _etc(host) == before
    assert (watch.asked > 20, watch.opened) == (True, 0)


# Mounts the file read-only on itself, once the survey is over: at the first `systemctl daemon-reload` of the set-up.
LATE = """#!/bin/sh
file=/etc/docker/daemon.json
if [ "$1" = daemon-reload ] && ! grep -q " $file " /proc/mounts; then
    mount --bind $file $file && mount -o remount,bind,ro $file
fi
exec /usr/bin/systemctl "$@"
"""


def test_a_daemon_json_that_cannot_be_written(engine_host: FreshHost, workstation: Workstation) -> None:
    host = engine_host()
    host.exec("systemctl start docker", timeout=120)  # SSH is up sooner
    file = "/etc/docker/daemon.json"
    host.exec(f"mkdir -p /etc/docker; echo '{{}}' >{file}")
    host.exec("cat >/usr/local/sbin/systemctl; chmod 755 /usr/local/sbin/systemctl", input=LATE)
    before, daemon = _etc(host), host.exec("pidof dockerd").stdout
    with Watch(host.address) as watch:
        workstation.create("node1", host.address, check=1)
        assert f" {file} " in host.exec("cat /proc/mounts").stdout
        assert (_etc(host), host.exec("pidof dockerd").stdout) == (before, daemon)
        workstation.create("node1", host.address, check=1)
        assert (_etc(host), host.exec("pidof dockerd").stdout) == (before, daemon)
        _crash(host)
    assert (watch.asked > 20, watch.heard) == (True, 0), "the port was never open at all"


def test_a_rollback_that_cannot_put_everything_back_closes_what_is_open(
    engine_host: FreshHost, workstation: Workstation
) -> None:
    """As older versions left hosts: the socket in the drop-in, the protection in daemon.json, and that goes."""
    host = engine_host()
    workstation.create("node1", host.address)
    drop_in = "/etc/systemd/system/docker.service.d/zz-pymachine.conf"
    host.exec(
        f"sed -i 's/ --tlsverify.*//' {drop_in}; chattr +i {drop_in} 2>/dev/null || mount --bind {drop_in} {drop_in}"
    )
    said = host.exec("sh /var/lib/pymachine/rollback.sh", check=False)
    with Watch(host.address) as watch:
        assert said.returncode != 0
        assert f"{drop_in} could not be removed" in said.stdout
        assert "without TLS: it is stopped" in said.stdout
        host.exec("systemctl is-enabled docker; sleep 1", check=False)
    assert host.exec("pidof dockerd; true").stdout == ""
    assert watch.opened == 0


def test_a_command_that_fails_before_it_began_leaves_a_ready_machine_alone(
    engine_host: FreshHost, workstation: Workstation
) -> None:
    host = engine_host()
    workstation.create("node1", host.address)
    before, daemon = _etc(host), host.exec("pidof dockerd").stdout
    host.exec("mkdir -p /run/cloud-init; cat >/usr/local/sbin/cloud-init", input=ENDLESS_CLOUD_INIT)
    host.exec("chmod 755 /usr/local/sbin/cloud-init; rm -f /run/cloud-init/result.json /run/cloud-init/disabled")
    failed = workstation.pymachine("provision", "--engine-label", "rack=8", "node1", check=1)
    assert "within 15 minutes" in failed.stderr
    assert (_etc(host), host.exec("pidof dockerd").stdout) == (before, daemon)
    workstation.docker("node1", "version")
    host.exec("cat >/usr/local/sbin/cloud-init", input=FAILED_CLOUD_INIT)
    done = workstation.pymachine("provision", "--engine-label", "rack=8", "node1")
    assert "cloud-init: scripts_user failed" in done.stderr
