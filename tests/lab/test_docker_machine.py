"""A host as docker-machine leaves it becomes a machine of ours: its engine answers at once, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab import Host
from lab.workstation import Workstation
from unit.docker_machine.their_store import TheirStore, key

pytestmark = pytest.mark.lab

FreshHost = Callable[..., Host]
# As docker-machine writes it, but for the place of dockerd, which Debian's package has in sbin.
DROP_IN = """[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock --tlsverify \
--tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem \\
--label provider=generic
Environment=
"""
LOGINS = "journalctl -t sshd -t sshd-session --no-pager | grep -c Accepted"
STATE = "systemctl show docker -p MainPID -p ActiveEnterTimestampMonotonic; docker inspect -f '{{.State.Pid}}' tenant"


@pytest.fixture
def theirs(engine_host: FreshHost, workstation: Workstation) -> tuple[Host, TheirStore]:
    """A host with docker-machine's drop-in and certificates, a container at work, and the store that made it so."""
    host = engine_host()
    store = TheirStore(workstation.folder / "home/.docker/machine", began=datetime.now(UTC) - timedelta(days=30))
    store.sans = (host.address, "localhost")
    folder = store.machine("web", IPAddress=host.address, SSHUser="root", SSHPort=22)
    public = key(3).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    host.exec("mkdir -p -m 700 /root/.ssh && cat >> /root/.ssh/authorized_keys", input=f"\n{public}\n")
    host.exec("mkdir -p /etc/docker /etc/systemd/system/docker.service.d")
    for file in ("ca.pem", "server.pem", "server-key.pem"):
        host.exec(f"cat > /etc/docker/{file}", input=(folder / file).read_text())
    host.exec("cat > /etc/systemd/system/docker.service.d/10-machine.conf", input=DROP_IN)
    host.exec("systemctl daemon-reload && systemctl restart docker")
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
    refused = workstation.pymachine("provision", "web", check=3).stderr
    assert "10-machine.conf" in refused
    assert (_files(host), host.exec(STATE).stdout) == (before, state)
    workstation.pymachine("rm", "-y", "web")
    assert (_files(host), host.exec(STATE).stdout) == (before, state)
