"""Fleets of real hosts: their inventories as files, and what the tests ask of them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from lab import Host
from lab.client import compose_plugin
from lab.workstation import Workstation

BUSYBOX = "busybox:fleet"
STACK = f"""\
services:
  web:
    image: {BUSYBOX}
    command: sleep 10000
    stop_grace_period: 1s
    deploy: {{replicas: 3, endpoint_mode: dnsrr, labels: {{colour: "${{COLOUR}}"}}}}
"""


@dataclass
class LabFleet:
    """One inventory of ssh hosts; ``entries`` are the YAML of each machine beside its name, driver and host."""

    user: Workstation
    hosts: Mapping[str, Host]
    entries: dict[str, str]
    more: str = ""
    name: str = "shop"

    def __post_init__(self) -> None:
        compose_plugin(self.user.docker_config)  # `plan` asks Compose what the files of stacks come to

    @property
    def file(self) -> Path:
        """The inventory."""
        return self.user.folder / "pymachine.yaml"

    def write(self) -> None:
        """Write the inventory as it is now."""
        lines = [
            f"fleet: {self.name}",
            f"defaults: {{driver: ssh, ssh: {{key: {self.user.key}}}, engine: {{install: distro}}}}",
            "machines:",
        ]
        for name, entry in self.entries.items():
            host = self.hosts[name].address
            lines.append(f"  - {{name: {name}, ssh: {{host: {host}}}{', ' + entry if entry else ''}}}")
        self.file.write_text("\n".join((*lines, self.more)) + "\n")

    def run(self, command: str, *words: str, check: int | None = 0) -> CompletedProcess[str]:
        """Give a command of fleets."""
        self.write()
        return self.user.pymachine(*command.split(), "-f", str(self.file), *words, check=check)

    def apply(self, *words: str, check: int | None = 0) -> CompletedProcess[str]:
        """Apply without a question."""
        return self.run("apply", "-y", *words, check=check)

    def planned(self) -> dict[str, list[str]]:
        """The kinds of actions that a plan has, by subjects."""
        done = self.run("plan", "--json", check=None)
        assert done.returncode in (0, 6), done.stderr
        found: dict[str, list[str]] = {}
        for change in json.loads(done.stdout)["changes"]:
            found.setdefault(change["subject"], []).append(change["action"])
        return found

    def status(self, manager: str) -> Any:
        """The Swarm as `swarm status` tells it."""
        return json.loads(self.user.pymachine("swarm", "status", "--json", manager).stdout)

    def nodes(self, manager: str) -> dict[str, Any]:
        """The Swarm's nodes by the names of their machines."""
        return {node["machine"]: node for node in self.status(manager)["nodes"]}

    def places(self, manager: str, service: str) -> Counter[str]:
        """On which hosts a service's tasks run."""
        words = ("--filter", "desired-state=running", "--format", "{{.Node}} {{.CurrentState}}")
        lines = self.user.docker(manager, "service", "ps", service, *words).stdout.splitlines()
        return Counter(line.split()[0] for line in lines if line.split()[1] == "Running")


def awaited(look: Callable[[], bool], what: str, patience: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + patience
    while not look():
        assert time.monotonic() < end, f"timed out after {patience} s waiting for {what}"
        time.sleep(0.5)


def with_image(hosts: Sequence[Host]) -> None:
    """Put an image on hosts that have an engine."""
    for host in hosts:
        host.run(f"docker import /root/busybox.tar {BUSYBOX}")
