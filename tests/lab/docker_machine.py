"""A host as docker-machine leaves it, and the store that it is in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab import Host
from lab.workstation import Workstation
from unit.docker_machine.their_store import TheirStore, key

# As docker-machine writes it, but for the place of dockerd, which Debian's package has in sbin.
DROP_IN = """[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H tcp://0.0.0.0:2376 -H unix:///var/run/docker.sock --storage-driver overlay2 \
--tlsverify --tlscacert /etc/docker/ca.pem --tlscert /etc/docker/server.pem --tlskey /etc/docker/server-key.pem \
--label provider=generic --label rack=7 --registry-mirror https://mirror.lan
Environment="PLACE=house"
"""
ENGINE = {"Labels": ["rack=7"], "RegistryMirror": ["https://mirror.lan"], "Env": ["PLACE=house"]}
PLACE = "/etc/systemd/system/docker.service.d/10-machine.conf"
# dockerd lists labels in any order.
INFO = "docker info -f '{{range .Labels}}{{println .}}{{end}}{{.Driver}} {{json .RegistryConfig.Mirrors}}' | sort"


def set_up_by_docker_machine(host: Host, workstation: Workstation) -> TheirStore:
    """Give a host with an engine docker-machine's drop-in and certificates; return the store of that machine, web."""
    store = TheirStore(workstation.folder / "home/.docker/machine", began=datetime.now(UTC) - timedelta(days=30))
    store.sans, store.engine = (host.address, "localhost"), ENGINE
    folder = store.machine("web", IPAddress=host.address, SSHUser="root", SSHPort=22)
    public = key(3).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    host.exec("mkdir -p -m 700 /root/.ssh && cat >> /root/.ssh/authorized_keys", input=f"\n{public}\n")
    host.exec("mkdir -p /etc/docker /etc/systemd/system/docker.service.d")
    for file in ("ca.pem", "server.pem", "server-key.pem"):
        host.exec(f"cat > /etc/docker/{file}", input=(folder / file).read_text())
    host.exec(f"cat > {PLACE}", input=DROP_IN)
    host.exec("systemctl daemon-reload && systemctl restart docker")
    return store
