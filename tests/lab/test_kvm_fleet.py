"""Fleets with virtual machines: beside hosts of other drivers in one Swarm, and with IPVS, which only they have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Host
from lab.client import docker_cli
from lab.core import Lab
from lab.ec2.booting import BootingEc2
from lab.fleets import awaited
from lab.images import rootfs
from lab.kvm_fixtures import IMAGE, Virtual, shelf
from lab.wait import open_direct
from lab.workstation import Workstation

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

BUSYBOX = "busybox:fleet"
VIRTUAL = ("vm-fleet-1", "vm-fleet-2")
WEB = "mkdir /www && hostname > /www/index.html && exec httpd -f -p 80 -h /www"


class Fleet:
    """A user with an inventory."""

    def __init__(self, user: Workstation, inventory: str) -> None:
        self.user = user
        self.file = user.folder / "fleet.yaml"
        self.file.write_text(inventory)

    def run(self, *words: str, check: int | None = 0) -> str:
        return self.user.pymachine(*words, "-f", str(self.file), check=check, timeout=900).stdout

    def nodes(self, manager: str) -> dict[str, Any]:
        status = json.loads(self.user.pymachine("swarm", "status", "--json", manager).stdout)
        return {node["machine"]: node for node in status["nodes"]}

    def put_image(self, *names: str) -> None:
        for name in names:
            self.user.docker(name, "import", str(rootfs()), BUSYBOX)

    def serve(self, name: str, manager: str, *how: str) -> None:
        words = ("service", "create", "--detach", "--name", name, "--no-resolve-image", "--stop-grace-period", "1s")
        self.user.docker(manager, *words, *how, BUSYBOX, "sh", "-c", WEB)


@pytest.fixture
def fleet(engine_image: str, tmp_path: Path, virtual: Virtual) -> Iterator[Callable[..., Fleet]]:
    """Make a fleet of an inventory; it is destroyed afterwards, and nothing is left of it in libvirt."""
    made: list[Fleet] = []

    def make(inventory: str, key: Path | None = None, **environ: str) -> Fleet:
        folder = tmp_path / "user"
        folder.mkdir()
        around = {"PYMACHINE_IMAGES": str(shelf()), **environ}
        made.append(Fleet(Workstation(folder, docker_cli(), key or folder / "no-key", around), inventory))
        return made[-1]

    yield make
    for each in made:
        each.run("destroy", "-y")
        assert each.user.pymachine("ls", "-q").stdout == ""
    assert not any(virtual.leftovers(*VIRTUAL).values())


def page(address: str, port: int) -> str:
    """What answers there; empty for nothing."""
    try:
        return open_direct(f"http://{address}:{port}/").decode().strip()
    except OSError:
        return ""


def test_three_drivers_make_one_swarm_with_a_routing_mesh(
    engine_host: Callable[..., Host], booting_ec2: BootingEc2, lab_session: Lab, fleet: Callable[..., Fleet]
) -> None:
    """Two virtual machines boot beside each other; a port that one publishes answers on both, through the mesh."""
    booting_ec2.options = {"engine": True}
    racks = [engine_host(name=f"rack-{number}") for number in (1, 2)]
    ec2 = booting_ec2.server
    inventory = f"""\
fleet: mixed
defaults: {{engine: {{install: distro}}}}
machines:
  - {{name: rack-1, driver: ssh, ssh: {{host: {racks[0].address}, key: {lab_session.key}}}, swarm: manager}}
  - {{name: rack-2, driver: ssh, ssh: {{host: {racks[1].address}, key: {lab_session.key}}}, swarm: worker}}
  - name: cloud
    driver: aws
    aws: {{region: us-east-1, vpc: {booting_ec2.network["vpc"]}, checkip_url: "{ec2.checkip}"}}
    swarm: {{role: worker, labels: {{tier: cloud}}}}
  - name: vm-fleet-{{1..2}}
    driver: kvm
    kvm: {{image: {IMAGE}, memory: 1536M, cpus: 1}}
    swarm: {{role: worker, labels: {{tier: virtual}}}}
"""
    mixed = fleet(inventory, **ec2.environ("us-east-1"))
    mixed.run("apply", "-y")
    nodes = mixed.nodes("rack-1")
    assert {name: (node["role"], node["state"]) for name, node in nodes.items()} == {
        "rack-1": ("manager", "ready"),
        "rack-2": ("worker", "ready"),
        "cloud": ("worker", "ready"),
        "vm-fleet-1": ("worker", "ready"),
        "vm-fleet-2": ("worker", "ready"),
    }
    assert nodes["cloud"]["labels"] == {"tier": "cloud"}
    mixed.put_image(*nodes)
    mixed.serve("everywhere", "rack-1", "--mode", "global", "--network", "host")
    on_virtual = ("--constraint", "node.labels.tier==virtual")
    mixed.serve("mesh", "rack-1", "--publish", "published=8090,target=80", "--replicas", "1", *on_virtual)
    ask = (
        "service",
        "ps",
        "everywhere",
        "--filter",
        "desired-state=running",
        "--format",
        "{{.Node}} {{.CurrentState}}",
    )
    awaited(
        lambda: mixed.user.docker("rack-1", *ask).stdout.count(" Running ") == len(nodes), "a task on every node", 120
    )
    addresses = [mixed.user.inspect(name)["endpoint"]["host"] for name in VIRTUAL]
    awaited(lambda: bool(page(addresses[0], 8090) and page(addresses[1], 8090)), "an answer on both nodes", 180)
    one, other = (page(address, 8090) for address in addresses)
    assert one == other != "", "one task answers for both nodes"
    assert "nothing to do" in mixed.run("apply", "-y")
