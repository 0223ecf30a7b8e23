"""The driver: each method opens its connection to libvirt, and leaves the work to a module of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from pymachine.driver import (
    API,
    NOBODY,
    Baked,
    Baking,
    Handle,
    HealthCheck,
    Instance,
    Leftover,
    Listener,
    PlannedInstance,
    RecordedInstance,
    Remember,
    Request,
    Search,
    Snapshot,
    Status,
)
from pymachine.errors import NotSupported
from pymachine.model import State
from pymachine_kvm import (
    bake,
    clone,
    console,
    create,
    health,
    leftovers,
    power,
    preflight,
    remove,
    resize,
    seed,
    snapshots,
    status,
    virtualization,
)
from pymachine_kvm.base_image_copies import drop_copies
from pymachine_kvm.boot import follow
from pymachine_kvm.dhcp import keep
from pymachine_kvm.handle import Vm
from pymachine_kvm.images.cache import Shelf
from pymachine_kvm.images.image import Image
from pymachine_kvm.images.pull import look_up
from pymachine_kvm.libvirt_api import connect
from pymachine_kvm.options import DomainConfig, KvmOptions, read_options
from pymachine_kvm.recorded import await_ssh
from pymachine_kvm.recorded import instance_of as recorded_instance

BOOT_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class RequestedDomain:
    """The domain that a request is about."""

    name: str
    id: str

    @property
    def uuid(self) -> str:
        """Its UUID: the machine's id in the usual spelling."""
        return str(UUID(hex=self.id))


class KvmDriver:
    """Makes virtual machines from cloud images, through libvirt alone."""

    api: ClassVar[int] = API
    options: ClassVar[type] = KvmOptions
    preexisting: ClassVar[bool] = False
    takes_over: ClassVar[frozenset[str]] = frozenset({"kvm", "kvm2"})
    alters: ClassVar[Mapping[str, str]] = {
        "kvm_cpus": "cpus",
        "kvm_memory": "memory",
        "kvm_disk": "disk",
        "kvm_boot_timeout": "record",
        "kvm_bake": "record",
    }

    def check(self, request: Request) -> None:
        """Look at the options, the daemon and what it has room for. Changes nothing."""
        wanted = read_options(request.options)
        seed.check_seed(request.name, wanted)
        with connect(wanted.uri) as connection:
            image = (
                None if request.source else _image(wanted, virtualization.promise_of(connection, wanted.arch).arch)
            )
            preflight.check(
                connection, wanted, image, RequestedDomain(request.name, request.machine_id), request.notice
            )

    def foresee(self, request: Request, remember: Remember) -> PlannedInstance:
        """Bring image, pool and network into being and reserve the address."""
        wanted = read_options(request.options)
        with connect(wanted.uri) as connection:
            return create.Making.of(connection, request, wanted, remember).foresee()

    def create(self, request: Request, remember: Remember) -> Instance:
        """Make disk, seed and domain, and see it boot."""
        wanted = read_options(request.options)
        with connect(wanted.uri) as connection:
            return create.Making.of(connection, request, wanted, remember).create()

    def recorded(self, recorded: RecordedInstance) -> tuple[Any, Instance]:
        """Take a machine of docker-machine's, whose domain has its name and its disk."""
        return recorded_instance(recorded)

    def inspect(self, handle: Handle, *, deadline: float) -> Status:
        """Ask libvirt, read-only: that never asks for a password."""
        with self._at(handle, read_only=True, theirs=True) as (connection, vm):
            return status.state(connection, vm)

    def destroy(self, handle: Handle) -> None:
        """Remove domain, volumes, seed, reservation, firmware variables and console log."""
        with self._at(handle, theirs=True) as (connection, vm):
            (remove.remove_theirs if vm.theirs else remove.remove)(connection, vm)

    def start(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Switch on and wait until it answers SSH."""
        with self._at(handle, theirs=True) as (connection, vm):
            keep(connection, vm, listener.notice)
            power.start(connection, vm)
            _follow(vm, listener)

    def stop(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Shut down by ACPI; one that does not listen is switched off."""
        with self._at(handle, theirs=True) as (connection, vm):
            power.stop(connection, vm, listener)

    def kill(self, handle: Handle) -> None:
        """Cut the power."""
        with self._at(handle, theirs=True) as (connection, vm):
            power.kill(connection, vm)

    def restart(self, handle: Handle, listener: Listener = NOBODY) -> None:
        """Shut down, switch on, and wait until it answers SSH."""
        with self._at(handle, theirs=True) as (connection, vm):
            keep(connection, vm, listener.notice)
            power.restart(connection, vm, listener)
            _follow(vm, listener)

    def snapshot(self, handle: Handle, name: str) -> None:
        """Keep disk and, of one that runs, memory."""
        with self._at(handle) as (connection, vm):
            snapshots.snapshot(connection, vm, name)

    def restore(self, handle: Handle, name: str) -> State:
        """Go back to what was kept."""
        with self._at(handle) as (connection, vm):
            return snapshots.restore(connection, vm, name)

    def snapshots(self, handle: Handle) -> tuple[Snapshot, ...]:
        """List what was kept."""
        with self._at(handle, read_only=True) as (connection, vm):
            return snapshots.snapshots(connection, vm)

    def drop_snapshot(self, handle: Handle, name: str) -> None:
        """Forget one."""
        with self._at(handle) as (connection, vm):
            snapshots.drop_snapshot(connection, vm, name)

    def console_log(self, handle: Handle) -> bytes:
        """Return what the machine printed. libvirt lets no read-only connection download."""
        with self._at(handle) as (connection, vm):
            return console.console_log(connection, vm)

    def attach(self, handle: Handle, keys: int, screen: int) -> None:
        """Type into the machine's console."""
        with self._at(handle) as (connection, vm):
            console.attach(connection, vm, keys, screen)

    def resize(self, handle: Handle, *, cpus: int | None, memory: int | None, disk: int | None) -> None:
        """Change the size of a machine that is off."""
        with self._at(handle) as (connection, vm):
            resize.resize(connection, vm, cpus=cpus, memory=memory, disk=disk)

    def check_source(self, handle: Handle) -> None:
        """Refuse to copy a machine that is not off."""
        with self._at(handle, read_only=True) as (connection, vm):
            clone.check_source(connection, vm)

    def baking(self, request: Request) -> Baking | None:
        """Say what to bake, if anything."""
        wanted = read_options(request.options)
        if not wanted.bake:
            return None
        with connect(wanted.uri, read_only=True) as connection:
            return bake.baking_of(connection, request, wanted)

    def keep(self, handle: Handle, baked: Baked, listener: Listener = NOBODY) -> None:
        """Shut down and put a copy of the disk into the image cache."""
        with self._at(handle) as (connection, vm):
            bake.keep(connection, vm, baked, listener)

    def leftovers(self, search: Search) -> Sequence[Leftover]:
        """Find the machines that carry our marks and that no store has on record."""
        return leftovers.find_leftovers(search)

    def discard(self, leftover: Leftover) -> None:
        """Remove one, as ``destroy`` does."""
        leftovers.discard(leftover)

    def drop_image(self, digest: str, handles: Sequence[Handle]) -> tuple[str, ...]:
        """Remove the bases of an image from every pool that is known, unless machines stand on it."""
        return drop_copies(digest, [vm for vm in map(Vm.of, handles) if not vm.theirs])

    def health(self, handles: Sequence[Handle], *, deadline: float) -> Sequence[HealthCheck]:
        """Check libvirt and hardware virtualisation."""
        return health.health(handles, os.environ, deadline)

    @contextmanager
    def _at(self, handle: Handle, *, read_only: bool = False, theirs: bool = False) -> Iterator[tuple[Any, Vm]]:
        """Connect; ``theirs`` says that this can be done with a machine of docker-machine's too."""
        vm = Vm.of(handle)
        if vm.theirs and not theirs:
            raise NotSupported(
                f"docker-machine made {vm.name}: it can be started, stopped and removed, and nothing else",
                hint=f"`virsh -c {vm.uri}` works on its domain {vm.name}",
            )
        with connect(vm.uri, read_only=read_only) as connection:
            yield connection, vm


def _image(wanted: DomainConfig, arch: str) -> Image | None:
    """Return the image that a create would begin with, None for one that is yet to be fetched."""
    return look_up(Shelf.default(os.environ), wanted.image, arch=arch)


def _follow(vm: Vm, listener: Listener) -> None:
    """Wait for a machine that was switched on; the console of one of docker-machine's is not known."""
    if vm.theirs:
        await_ssh(vm, BOOT_PATIENCE)
    else:
        follow(vm, deadline=BOOT_PATIENCE, progress=listener.progress)
