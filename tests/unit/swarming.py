"""Machines whose engines form Swarms nowhere, for the tests of the swarm's verbs."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

from pymachine.fleet.inventory.model import NodeSpec, SwarmSpec
from pymachine.model import Endpoint, Machine, Phase, SshAddress
from pymachine.steps.services import Services
from pymachine.swarm import init, join, status
from pymachine.testing.fake_cluster import FakeClusters
from pymachine.testing.fake_transport import HOST_KEY
from unit.world import World

MANAGER = NodeSpec("manager")
WORKER = NodeSpec("worker")


class Died(BaseException):
    """A process that was killed: nothing of it catches this."""


class SwarmWorld(World):
    """Ready machines, each with an address of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clusters = FakeClusters()
        self.made_so_far = 0

    @property
    def tools(self) -> Services:  # type: ignore[explicit-override]
        return replace(super().tools, connect_cluster=self.clusters.connect)

    def machines(self, *names: str) -> None:
        """Have ready machines at 192.0.2.1, .2, …"""
        for name in names:
            self.made_so_far += 1
            address = f"192.0.2.{self.made_so_far}"
            machine = Machine(
                name, uuid.uuid4().hex, "fake", Phase.READY, handle={"id": name, "address": address},
                ssh=SshAddress(address, host_key=HOST_KEY), endpoint=Endpoint(address), addresses=(address,),
                engine_version="26.1.5",
            )  # fmt: skip
            self.store.put(machine, secrets={"ca.pem": b"a", "cert.pem": b"c", "key.pem": b"k"})

    def swarm(self, managers: int, workers: int = 0, *, autolock: bool = False) -> list[str]:
        """A Swarm of machines m1, m2 … and w1, w2 …; return the names of its managers."""
        names = [f"m{n}" for n in range(1, managers + 1)]
        others = [f"w{n}" for n in range(1, workers + 1)]
        self.machines(*names, *others)
        init(names[0], SwarmSpec(autolock=autolock), MANAGER, self.tools)
        for name in names[1:]:
            join(name, MANAGER, self.tools, via=names[:1])
        for name in others:
            join(name, WORKER, self.tools, via=names[:1])
        return names

    def address(self, name: str) -> str:
        """Where a machine's engine is."""
        endpoint = self.store.get(name).endpoint
        assert endpoint is not None
        return endpoint.host

    def availability(self, name: str) -> str:
        """Whether a machine's node is given tasks."""
        node = status(self.tools).node_of(name)
        assert node is not None
        return node.availability

    def cut(self, *names: str) -> None:
        """Have nothing reach these machines."""
        for name in names:
            with self.clusters.host(self.address(name)) as host:
                host.cut = True

    def calls(self, name: str) -> list[str]:
        """What the machine's engine was asked."""
        with self.clusters.host(self.address(name)) as host:
            return list(host.calls)

    def record(self, name: str) -> Machine:
        """The record as it is stored."""
        return self.store.get(name)
