"""Creates a virtual machine: what is planned before the boot, and what is made then."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlsplit

from pymachine.driver import Instance, PlannedInstance, Remember, Request
from pymachine.errors import DriverError
from pymachine.model import Endpoint, SshAddress
from pymachine_kvm import clone, domain, preflight, seed, storage, usernet, virtualization
from pymachine_kvm.base_images import base_format, base_name, ensure_base
from pymachine_kvm.boot import follow, has_banner
from pymachine_kvm.capabilities import folder_sharing
from pymachine_kvm.cards import Card, put_card
from pymachine_kvm.dhcp import choose_mac, find_address, reserve
from pymachine_kvm.handle import Vm, origin_name, volume_names
from pymachine_kvm.images.cache import Shelf
from pymachine_kvm.images.image import Image
from pymachine_kvm.images.pull import resolve
from pymachine_kvm.kvm_probe import BootDisk, ask_guest
from pymachine_kvm.libvirt_api import is_session, translated
from pymachine_kvm.libvirt_types import Connection, StoragePool
from pymachine_kvm.network import ensure_network
from pymachine_kvm.options import DomainConfig
from pymachine_kvm.ownership import Keeper
from pymachine_kvm.usernet import LOOPBACK, SSH_PORT

DEBIAN_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass
class Making:
    """One create of one machine, on one connection. All parts are repeatable.

    ``source`` is the machine whose disk is copied; otherwise the disk begins with an image.
    """

    connection: Connection
    request: Request
    wanted: DomainConfig
    remember: Remember
    source: Vm | None = None

    @classmethod
    def of(cls, connection: Connection, request: Request, wanted: DomainConfig, remember: Remember) -> Self:
        """Return the create of the request; a copy has the sizes of its source."""
        if request.source is None:
            return cls(connection, request, wanted, remember)
        source = Vm.of(request.source)
        return cls(connection, request, clone.like(connection, source, wanted), remember, source)

    def foresee(self) -> PlannedInstance:
        """Remember what will be made, then create pool, base image, network and reservation."""
        vm = self._kept(self._begun())
        vm = self._on_image(vm) if self.source is None else self._on_copy(vm, self.source)
        vm = self._kept(self._addressed(vm))
        return _prospect(vm, self.request.engine_port)

    def create(self) -> Instance:
        """Create disk, seed and domain, start it and follow its boot; then remove the secrets from its seed."""
        vm = Vm.of(self.request.resume or {})
        pool = self._pool(vm)
        if not self._runs(vm):
            vm = self._with_virt_type(vm, pool)
            self._make(vm, pool)
        follow(vm, deadline=self.wanted.boot_timeout, progress=self.request.progress, reached=self._reached(vm))
        self._write_seed(vm, pool, secret=False)
        return self._instance(vm)

    def _begun(self) -> Vm:
        if self.request.resume is not None:
            return Vm.of(self.request.resume)
        disk, seed_name = volume_names(self.request.name, self.request.machine_id)
        arch = self.wanted.arch or virtualization.promise_of(self.connection, None).arch
        session = is_session(self.connection)
        return Vm(
            uri=self.wanted.uri,
            id=self.request.machine_id,
            name=self.request.name,
            pool=self.wanted.pool,
            disk=disk,
            seed=seed_name,
            mac=choose_mac(self.connection, self.request.machine_id, "" if session else self.wanted.network),
            network="" if session else self.wanted.network,
            user=self.wanted.user,
            arch=arch,
        )

    def _kept(self, vm: Vm) -> Vm:
        self.remember(vm.handle())
        return vm

    def _on_image(self, vm: Vm) -> Vm:
        image = self._image(vm)
        preflight.check_image(self.connection, self.wanted, image, vm.arch, vm)
        vm = self._kept(vm.with_(engine=image.engine, os_release=image.os_release, base=base_name(image)))
        ensure_base(self.connection, self._labelled(vm), image, self.request.progress)
        return vm

    def _on_copy(self, vm: Vm, source: Vm) -> Vm:
        origin = origin_name(vm.name, vm.id)
        vm = self._kept(clone.taken_over(vm, source, origin))
        clone.copy_disk(self.connection, self._labelled(vm), source, origin, self.request.progress)
        return vm

    def _labelled(self, vm: Vm) -> Any:
        """Return the pool, in which a card tells whose the parts are that are about to be made."""
        pool = self._pool(vm)
        put_card(self.connection, pool, Card(vm, self._keeper))
        return pool

    @property
    def _keeper(self) -> Keeper:
        return Keeper(self.request.owner, self.request.home)

    def _image(self, vm: Vm) -> Image:
        shelf = Shelf.default(os.environ)
        return resolve(shelf, self.wanted.image, arch=vm.arch, progress=self.request.progress)

    def _pool(self, vm: Vm) -> Any:
        return storage.ensure_pool(self.connection, vm.pool, self.request.notice)

    def _addressed(self, vm: Vm) -> Vm:
        """Return the machine with what leads to it: ports on loopback, or an address, empty until it is seen."""
        if not vm.network:
            if vm.address:
                return vm
            ssh_port, engine_port = usernet.choose_ports(self.connection, 2)
            return vm.with_(address=LOOPBACK, ssh_port=ssh_port, engine_port=engine_port)
        network = ensure_network(self.connection, vm.network, self.request.notice)
        return vm.with_(address=reserve(self.connection, vm) if network.reserves else "")

    def _with_virt_type(self, vm: Vm, pool: StoragePool) -> Vm:
        if vm.virt_type and self.wanted.virt_type in ("auto", vm.virt_type):
            return vm
        disk = BootDisk(
            storage.volume_path(pool, vm.base), base_format(vm.base), vm.arch, uefi=self.wanted.firmware == "uefi"
        )
        kind = virtualization.settle(
            self.connection,
            self.wanted.virt_type,
            vm.arch,
            lambda: ask_guest(self.connection, disk),
            self.request.notice,
        )
        return self._kept(vm.with_(virt_type=kind))

    def _runs(self, vm: Vm) -> bool:
        """Whether it was made by an earlier try and is on its way up."""
        found = domain.find_own(self.connection, vm)
        with translated(f"looking at {vm.name}"):
            return found is not None and bool(found.isActive())

    def _make(self, vm: Vm, pool: StoragePool) -> None:
        self.request.progress("making the disk")
        storage.make_disk(pool, vm, self.wanted.disk)
        self._write_seed(vm, pool, secret=True)
        self.request.progress("defining the domain")
        spec = domain.spec_of(self.connection, vm, self.wanted, pool, self.request.engine_port, self._keeper)
        made = domain.define(self.connection, spec)
        self.request.progress("switching it on")
        with translated(f"starting {vm.name}"):
            made.setAutostart(int(self.wanted.autostart))
            made.create()

    def _reached(self, vm: Vm) -> Callable[[], bool] | None:
        """How to tell that it can be logged in to; a machine without a reserved address is looked for first."""
        if vm.address:
            return None

        def reached() -> bool:
            address = find_address(self.connection, vm)
            return bool(address) and has_banner(address, SSH_PORT)

        return reached

    def _write_seed(self, vm: Vm, pool: StoragePool, *, secret: bool) -> None:
        """Write the seed; not ``secret`` is the one that stays: same instance, without keys and set-up."""
        login, first_boot = self.request.login, self.request.first_boot
        assert login is not None
        if not secret:
            login, first_boot = replace(login, host_private=b""), None
        shared = folder_sharing(self.connection, vm.arch, vm.virt_type, self.wanted.mounts)
        content = seed.seed_of(vm, login, first_boot, self.wanted, self.request.machine_id, shared)
        storage.put_seed(self.connection, pool, vm.seed, content)

    def _instance(self, vm: Vm) -> Instance:
        if not vm.address:
            address = find_address(self.connection, vm)
            if not address:
                raise DriverError(
                    f"{vm.name} runs, but its address is unknown",
                    hint="its network must report leases, or its image include the QEMU guest agent",
                )
            vm = self._kept(vm.with_(address=address))
        found = _prospect(vm, self.request.engine_port)
        return Instance(found.handle, ssh=found.ssh, endpoint=found.endpoint, addresses=found.addresses)


def _way(uri: str) -> str | None:
    """Return the jump host that leads to machines of another host's daemon: their network is often its own."""
    parts = urlsplit(uri)
    return parts.netloc if parts.scheme.endswith("+ssh") and parts.netloc else None


def _prospect(vm: Vm, engine_port: int) -> PlannedInstance:
    known = bool(vm.address)
    return PlannedInstance(
        handle=vm.handle(),
        ssh=SshAddress(vm.address, vm.ssh_port, vm.user, jump=_way(vm.uri)) if known else None,
        endpoint=Endpoint(vm.address, vm.engine_port if not vm.network else engine_port) if known else None,
        addresses=(vm.address,) if known else (),
        os_release=vm.os_release,
        arch=DEBIAN_ARCH[vm.arch],
        engine=vm.engine,
    )
