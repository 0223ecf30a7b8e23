"""What is checked before a machine is made: judgements on facts, each with the command that mends.

A refusal says that the create cannot work; a warning says that it can, but that something will hurt. What the create
mends by itself (a network that is down, a missing default pool) is neither.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from pymachine.errors import CheckFailed
from pymachine.sizes import GIB, MIB
from pymachine_kvm.base_images import taken_up
from pymachine_kvm.handle import volume_names
from pymachine_kvm.host_facts import Facts, PoolFacts, collect_facts, collect_pool_facts, has_base
from pymachine_kvm.images.image import Image
from pymachine_kvm.libvirt_api import translated
from pymachine_kvm.libvirt_types import Connection
from pymachine_kvm.options import DomainConfig
from pymachine_kvm.virtualization import mend, why_not

DEFAULT = "default"
ROOM_TO_WORK = 1 * GIB  # what a new disk takes to boot, and the engine to begin with: its logs, a first image
ROOM_FOR_ENGINE = 1 * GIB  # package lists, packages and what they unpack to, where the image holds no engine
LEAST_IMAGE = 256 * MIB  # of one that is yet to be fetched: cloud images are larger
NFTABLES_SINCE = 10_004_000  # libvirt 10.4 puts its rules into a table of its own, where they cannot overrule another


class PlannedDomain(Protocol):
    """The machine that is to be made: its name, and the UUID that its domain has or will have."""

    @property
    def name(self) -> str:
        """The domain's name."""

    @property
    def uuid(self) -> str:
        """The domain's UUID in its usual spelling."""


@dataclass(frozen=True, slots=True)
class PreflightFault:
    """Something that is amiss; ``refuses`` where the create cannot work with it."""

    message: str
    hint: str
    refuses: bool = True


def check(
    conn: Connection, wanted: DomainConfig, image: Image | None, own: PlannedDomain, notice: Callable[[str], None]
) -> None:
    """Look at the host, and refuse what cannot work; nothing is changed.

    ``image`` None is one that is yet to be fetched (see ``check_image``). Warnings go to ``notice``. Raises
    ``CheckFailed``. The connection should be one that may write: a read-only one proves no right, and is not told of
    firmware.
    """
    found = list(findings(collect_facts(conn, wanted, own.name), wanted, image, own))
    for warning in (finding for finding in found if not finding.refuses):
        notice(f"{warning.message}; {warning.hint}")
    _refuse(found)


def check_image(conn: Connection, wanted: DomainConfig, image: Image, arch: str, own: PlannedDomain) -> None:
    """Judge an image that has just been fetched, before it is copied anywhere. Raises ``CheckFailed``."""
    with translated("looking at the libvirt host"):
        found = collect_pool_facts(conn, wanted.pool)
    _refuse([*disk(wanted, image, arch), *(room(found, wanted, image, own) if found else ())])


def _refuse(found: list[PreflightFault]) -> None:
    refusals = [finding for finding in found if finding.refuses]
    if refusals:
        raise _refusal(refusals)


def _refusal(refusals: list[PreflightFault]) -> CheckFailed:
    """Return one error for all: people mend several things in one go rather than find them one by one."""
    if len(refusals) == 1:
        return CheckFailed(refusals[0].message, hint=refusals[0].hint)
    lines = (f"{finding.message}: {finding.hint}" for finding in refusals)
    return CheckFailed(
        "\n  ".join((f"{len(refusals)} problems must be solved first", *lines)),
        hint="fix all of them, then run the same command again",
    )


def findings(facts: Facts, wanted: DomainConfig, image: Image | None, own: PlannedDomain) -> Iterator[PreflightFault]:
    """Judge the facts, the gravest first."""
    if wrong_daemon := list(session_of_root(facts, wanted)):
        yield from wrong_daemon
        return
    yield from foreign_domain(facts, own)
    yield from virtualisation(facts, wanted)
    yield from processors(facts, wanted)
    yield from memory(facts, wanted)
    yield from firmware(facts, wanted)
    yield from disk(wanted, image, facts.promise.arch)
    yield from network(facts, wanted)
    yield from pool(facts, wanted, image, own)
    yield from mounts(facts, wanted)
    yield from closed_device(facts, wanted)
    yield from forwarding(facts, wanted)


def session_of_root(facts: Facts, wanted: DomainConfig) -> Iterator[PreflightFault]:
    """For root libvirt takes ``qemu:///session`` for the system's daemon: never what was meant."""
    if wanted.session and facts.local and facts.root:
        yield PreflightFault(
            f"{wanted.uri}: root has no session of its own, libvirt uses the system's daemon instead",
            "give --kvm-uri qemu:///system, or run it as an ordinary user",
        )


def foreign_domain(facts: Facts, own: PlannedDomain) -> Iterator[PreflightFault]:
    """A domain that bears the machine's name and is another one."""
    if facts.domain is not None and facts.domain != own.uuid:
        yield PreflightFault(
            f"{facts.uri} has a domain {own.name!r} that is not this machine",
            f"choose another name; `virsh -c '{facts.uri}' dumpxml {own.name}` shows what it is;"
            " `pymachine gc -d kvm` finds what a lost store left",
        )


def virtualisation(facts: Facts, wanted: DomainConfig) -> Iterator[PreflightFault]:
    """An architecture without an emulator; hardware virtualisation that was requested and is not there."""
    arch = facts.promise.arch
    if arch not in facts.emulated:
        package = "qemu-system-arm" if arch == "aarch64" else "qemu-system-x86"
        yield PreflightFault(f"{facts.uri} has no QEMU for {arch}", f"on that host: apt install {package}")
    elif wanted.virt_type == "kvm" and (fault := why_not(facts.promise)):
        yield PreflightFault(f"--kvm-virt-type kvm: no hardware virtualisation: {fault}", mend(facts.promise))


def processors(facts: Facts, wanted: DomainConfig) -> Iterator[PreflightFault]:
    """More processors than QEMU can show, or than the host has."""
    if facts.emulator and wanted.cpus > facts.emulator.most_cpus:
        yield PreflightFault(
            f"--kvm-cpus: {wanted.cpus} is more than QEMU supports",
            f"give {min(facts.cpus, facts.emulator.most_cpus)} or fewer",
        )
    elif wanted.cpus > facts.cpus:
        yield PreflightFault(
            f"{wanted.cpus} virtual processors on a host that has {facts.cpus} slow each other down",
            f"--kvm-cpus {facts.cpus} is the useful maximum",
            refuses=False,
        )


def memory(facts: Facts, wanted: DomainConfig) -> Iterator[PreflightFault]:
    """More memory than the host has, or than it has left."""
    if wanted.memory > facts.memory:
        yield PreflightFault(
            f"--kvm-memory: {_size(wanted.memory)} is more than the {_size(facts.memory)} that the host has",
            f"give less: --kvm-memory {facts.memory // 2 // MIB}M",
        )
    elif facts.memory_free is not None and wanted.memory > facts.memory_free:
        yield PreflightFault(
            f"the host has {_size(facts.memory_free)} of memory left, the machine may take {_size(wanted.memory)}",
            "stop another machine, or give this one less: --kvm-memory",
            refuses=False,
        )


def firmware(facts: Facts, wanted: DomainConfig) -> Iterator[PreflightFault]:
    """UEFI that is wanted, or that the architecture cannot do without, and is not installed."""
    arch = facts.promise.arch
    if facts.emulator and not facts.emulator.uefi and (wanted.firmware == "uefi" or arch == "aarch64"):
        package = "qemu-efi-aarch64" if arch == "aarch64" else "ovmf"
        instead = "" if arch == "aarch64" else "; or --kvm-firmware bios"
        yield PreflightFault(
            f"{facts.uri} has no UEFI firmware for {arch}", f"on that host: apt install {package}{instead}"
        )
    if wanted.firmware == "bios" and arch == "aarch64":
        yield PreflightFault("--kvm-firmware bios: aarch64 boots by UEFI alone", "omit --kvm-firmware")


def disk(wanted: DomainConfig, image: Image | None, arch: str) -> Iterator[PreflightFault]:
    """A disk that the image does not fit on; an image for another architecture than the machine's."""
    if image is None:
        return
    if image.virtual_size > wanted.disk:
        least = -(-image.virtual_size // GIB)
        yield PreflightFault(
            f"--kvm-disk: {_size(wanted.disk)} are less than image {image.name} holds ({_size(image.virtual_size)})",
            f"give at least --kvm-disk {least}G",
        )
    if arch != image.arch:
        yield PreflightFault(
            f"image {image.name} is for {image.arch}, but the machine is {arch}",
            f"choose another --kvm-image, or --kvm-arch {image.arch}",
        )


def network(facts: Facts, wanted: DomainConfig) -> Iterator[PreflightFault]:
    """A network that is missing or in the way, and not ours to make or to move."""
    if facts.session or wanted.network == DEFAULT:
        return
    if facts.network is None:
        yield PreflightFault(
            f"{facts.uri} has no network {wanted.network!r}",
            f"`virsh -c '{facts.uri}' net-list --all` lists the networks; --kvm-network selects one",
        )
    elif facts.network.clash and not facts.network.active:
        yield PreflightFault(
            f"network {wanted.network!r} overlaps this host's route to {facts.network.clash}",
            f"`virsh -c '{facts.uri}' net-edit {wanted.network}` moves it; --kvm-network selects another",
        )


def pool(facts: Facts, wanted: DomainConfig, image: Image | None, own: PlannedDomain) -> Iterator[PreflightFault]:
    """A pool that is missing, that QEMU does not get to, or that has no room."""
    if facts.pool is None:
        if wanted.pool != DEFAULT:
            yield PreflightFault(
                f"{facts.uri} has no storage pool {wanted.pool!r}",
                f"`virsh -c '{facts.uri}' pool-list --all` lists the pools; --kvm-pool selects one",
            )
        return
    if facts.pool.closed:
        yield PreflightFault(
            f"QEMU's user {facts.pool.user} cannot enter {facts.pool.closed}, on the way to pool {wanted.pool!r}"
            f" ({facts.pool.folder})",
            f"sudo setfacl -m u:{facts.pool.user}:x {shlex.quote(str(facts.pool.closed))};"
            " or choose another pool: --kvm-pool",
        )
    yield from room(facts.pool, wanted, image, own)


def room(pool: PoolFacts, wanted: DomainConfig, image: Image | None, own: PlannedDomain) -> Iterator[PreflightFault]:
    """A pool that has no room for the image, or for a machine that works; what is there already takes none."""
    if pool.free is None or _is_begun(pool, own):
        return
    upload = _upload(pool, image)
    needed = upload + min(wanted.disk, ROOM_TO_WORK + (0 if image and image.engine else ROOM_FOR_ENGINE))
    if pool.free < needed:
        yield PreflightFault(
            f"pool {wanted.pool!r} has {_size(pool.free)} free, the machine needs {_size(needed)} at first",
            "free space there (`pymachine image rm` deletes images), or choose another: --kvm-pool",
        )
    elif pool.free < upload + wanted.disk:
        yield PreflightFault(
            f"pool {wanted.pool!r} has {_size(pool.free)} free, the machine's disk may grow to {_size(wanted.disk)}",
            "a machine is paused when its host's disk is full; --kvm-disk makes it smaller",
            refuses=False,
        )


def _upload(pool: PoolFacts, image: Image | None) -> int:
    if image is None:
        return LEAST_IMAGE
    return 0 if has_base(pool, image) else taken_up(image)


def _is_begun(pool: PoolFacts, own: PlannedDomain) -> bool:
    """Whether the machine's disk is there from an earlier try, which took its room then."""
    return volume_names(own.name, UUID(own.uuid).hex)[0] in pool.volumes


def mounts(facts: Facts, wanted: DomainConfig) -> Iterator[PreflightFault]:
    """Folders to show in the machine that are not there; on another host only QEMU can tell."""
    for mount in wanted.mounts if facts.local else ():
        if not Path(mount.source).is_dir():
            yield PreflightFault(f"--kvm-mount: {mount.source} is not a folder", f"mkdir -p '{mount.source}'")


def closed_device(facts: Facts, wanted: DomainConfig) -> Iterator[PreflightFault]:
    """A device that libvirt sees and its QEMU cannot open: libvirt then probes QEMU again before every start."""
    node = facts.promise.node
    if facts.local and not facts.session and node and not node.openable and wanted.virt_type != "kvm":
        yield PreflightFault(f"{node.fault}: each start takes about a minute longer", node.mend, refuses=False)


def forwarding(facts: Facts, wanted: DomainConfig) -> Iterator[PreflightFault]:
    """A Docker engine on this host that drops what machines send beyond it (its policy for FORWARD)."""
    bridge = facts.network.bridge if facts.network else ""
    if not facts.docker or not drops(facts.rules, bridge, own_table=_own_table(facts)):
        return
    what = "drops" if facts.rules is not None else "may drop (only root can tell)"
    yield PreflightFault(
        f"the Docker engine on this host {what} the traffic of machines on network {wanted.network!r}",
        " && ".join(f"sudo iptables -I DOCKER-USER {way} {bridge or 'virbr0'} -j ACCEPT" for way in ("-i", "-o"))
        + '; permanently: "ip-forward-no-drop": true in /etc/docker/daemon.json (engine 28 and later)',
        refuses=False,
    )


def drops(rules: tuple[str, ...] | None, bridge: str, *, own_table: bool) -> bool:
    """Return whether FORWARD drops a bridge's packets, by the lines of ``iptables -S`` (None: not known).

    ``own_table`` says that libvirt's own rules, which let its networks pass, are not put into FORWARD.
    """
    if rules is None:
        return own_table
    if "-P FORWARD DROP" not in rules:
        return False
    passes = (line for line in rules if line.startswith(("-A FORWARD ", "-A DOCKER-USER ")))
    return own_table and not any(_lets_pass(line, bridge) for line in passes)


def _lets_pass(line: str, bridge: str) -> bool:
    words = line.split()
    return "LIBVIRT_FWO" in words or (bool(bridge) and bridge in words and words[-2:] == ["-j", "ACCEPT"])


def _own_table(facts: Facts) -> bool:
    bridged = facts.network is not None and not facts.network.reserves
    return bridged or facts.version >= NFTABLES_SINCE


def _size(size: int) -> str:
    return f"{size / GIB:.1f}G" if size >= GIB else f"{size // MIB}M"
