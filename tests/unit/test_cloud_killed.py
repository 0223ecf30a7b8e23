"""Killed at any write of the record: the same command ends well, with one host and a certificate that fits."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography import x509
from typing_extensions import override

from pymachine import power
from pymachine.create import create
from pymachine.engine.client import EngineAnswer
from pymachine.errors import TlsError, Unreachable
from pymachine.model import Endpoint, Machine, Phase
from pymachine.remove import remove
from pymachine.testing.memory_store import MemoryStore
from unit.clouds import CloudWorld
from unit.world import FakeEngine, is_run


class Killed(BaseException):
    """The process is gone; nothing that catches errors runs."""


class MortalStore(MemoryStore):
    """Its process is killed right after a number of writes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.writes = 0
        self.last: int | None = None

    @override
    def put(self, machine: Machine, *, secrets: Mapping[str, bytes] | None = None) -> Machine:
        """Write, and die if it was the last."""
        saved = super().put(machine, secrets=secrets)
        self.writes += 1
        if self.writes == self.last:
            raise Killed
        return saved


class HonestEngine(FakeEngine):
    """Answers only where its machine is, and shows the certificate that was uploaded last."""

    def __init__(self, world: CloudWorld) -> None:
        super().__init__()
        self._world = world
        self.server = b""

    @override
    def ask(self, endpoint: Endpoint, folder: Path | None, *, deadline: float) -> EngineAnswer:
        """Do as TLS does."""
        for connection in self._world.connections:
            for upload in connection.uploads:
                self.server = next((file.content for file in upload.files if file.path == "server.pem"), self.server)
        with self._world.moving.lend("addresses") as addresses:
            if endpoint.host not in addresses.values() or not self.server:
                raise Unreachable(f"nothing answers at {endpoint.host}")
        if ipaddress.ip_address(endpoint.host) not in _addresses_in(self.server):
            raise TlsError("the certificate is for another host")
        return super().ask(endpoint, folder, deadline=deadline)


def _addresses_in(pem: bytes) -> list[object]:
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return list(names.value.get_values_for_type(x509.IPAddress))


@pytest.fixture
def world(tmp_path: Path) -> CloudWorld:
    world = CloudWorld(tmp_path / "cloud")
    world.store = MortalStore(tmp_path / "cloud")
    world.engine = HonestEngine(world)
    return world


def mortal(world: CloudWorld) -> MortalStore:
    assert isinstance(world.store, MortalStore)
    return world.store


def dying_at(world: CloudWorld, write: int) -> None:
    mortal(world).writes, mortal(world).last = 0, write


def well(world: CloudWorld, machine: Machine) -> bool:
    """Whether the one host has an engine that answers where the record says, with what the record has."""
    assert isinstance(world.engine, HonestEngine)
    assert machine.endpoint is not None
    world.engine.ask(machine.endpoint, None, deadline=1.0)
    same = world.engine.server == world.store.secrets("node1")["server.pem"]
    return same and machine.phase is Phase.READY and list(world.cloud.hosts()) == [machine.id]


CREATE_WRITES = 14
START_WRITES = 9


@pytest.mark.parametrize("write", range(1, CREATE_WRITES + 1))
def test_create_goes_on(write: int, world: CloudWorld) -> None:
    dying_at(world, write)
    with pytest.raises(Killed):
        create(world.order(), world.tools)
    dying_at(world, 0)
    if world.ran(is_run):
        world.carries(world.store.get("node1").id)
    machine = world.store.get("node1")
    if machine.phase is not Phase.READY:
        machine = create(world.order(), world.tools)
    assert well(world, machine)


@pytest.mark.parametrize("write", range(1, CREATE_WRITES + 1))
def test_rm_leaves_nothing(write: int, world: CloudWorld) -> None:
    dying_at(world, write)
    with pytest.raises(Killed):
        create(world.order(), world.tools)
    dying_at(world, 0)
    remove("node1", world.tools)
    assert (world.cloud.hosts(), world.store.records()) == ({}, [])


@pytest.mark.parametrize("write", range(1, START_WRITES + 1))
def test_start_goes_on_following(write: int, world: CloudWorld) -> None:
    world.made()
    power.stop("node1", world.tools)
    dying_at(world, write)
    with pytest.raises(Killed):
        power.start("node1", world.tools)
    dying_at(world, 0)
    machine = power.start("node1", world.tools)
    assert machine.endpoint == Endpoint("198.51.100.2")
    assert well(world, machine)


@pytest.mark.parametrize(("verb", "writes"), [("create", CREATE_WRITES), ("start", START_WRITES)])
def test_no_write_is_left_out(verb: str, writes: int, world: CloudWorld) -> None:
    if verb == "start":
        world.made()
        power.stop("node1", world.tools)
    dying_at(world, 0)
    power.start("node1", world.tools) if verb == "start" else create(world.order(), world.tools)
    assert mortal(world).writes == writes
