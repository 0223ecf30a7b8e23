"""The handle of a virtual machine: everything that ``rm`` needs, known before anything is made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from pymachine.driver import Remembered

CARD = ".pymachine.json"


@dataclass(frozen=True, slots=True)
class Vm(Remembered):
    """One virtual machine, as the record keeps it.

    ``id`` is the machine's, and the domain's UUID. ``name`` is the domain's. ``disk`` and ``seed`` are volumes of
    ``pool``. ``network`` is empty in session mode, where ``ssh_port`` and ``engine_port`` on loopback lead in.
    ``address`` is empty until it is reserved. ``base`` is the volume under the disk. ``virt_type`` is ``kvm`` or
    ``qemu``, empty until it is settled. ``engine`` is the version of the engine inside the image, empty for none.
    ``theirs`` says that docker-machine made it: then ``disk`` is the path of its disk, by which the domain of that
    name is recognised, and pool, seed, MAC and network are empty.
    """

    called: ClassVar[str] = "virtual machine"

    uri: str
    id: str
    name: str
    pool: str
    disk: str
    seed: str
    mac: str
    network: str = ""
    address: str = ""
    ssh_port: int = 22
    engine_port: int = 2376
    user: str = ""
    base: str = ""
    virt_type: str = ""
    arch: str = "x86_64"
    engine: str = ""
    os_release: str = ""
    theirs: bool = False

    @property
    def uuid(self) -> str:
        """The domain's UUID in its usual form."""
        return str(UUID(hex=self.id))


def mac_of(machine_id: str, attempt: int = 0) -> str:
    """Return a MAC address for a machine: QEMU's prefix and a hash; ``attempt`` gives others when it is taken."""
    digest = hashlib.sha256(f"{machine_id}/{attempt}".encode()).hexdigest()
    return "52:54:00:" + ":".join((digest[0:2], digest[2:4], digest[4:6]))


def volume_names(name: str, machine_id: str) -> tuple[str, str]:
    """Return the names of the disk and the seed: told apart from those of an earlier machine of the same name."""
    stem = f"{name}-{machine_id[:8]}"
    return f"{stem}.qcow2", f"{stem}-seed.iso"


def card_name(name: str, machine_id: str) -> str:
    """Return the name of the volume that tells whose the machine's parts are, before and after its domain does."""
    return f"{name}-{machine_id[:8]}{CARD}"


def origin_name(name: str, machine_id: str) -> str:
    """Return the name of the volume under a clone's disk: a copy of another machine's, this one's alone."""
    return f"{name}-{machine_id[:8]}-origin.qcow2"
