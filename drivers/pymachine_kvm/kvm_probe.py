"""Tests hardware virtualisation with a guest: it boots a Linux image and watches for progress.

Nothing less proves it. On nested hosts /dev/kvm opens, libvirt lists ``kvm``, SeaBIOS and the boot loader run, and
Linux then hangs without output or ends in an internal error of KVM. The guest has no network and reads the image
without writing to it: its kernel and first programs print long before anything needs a writable disk. libvirt ends
the domain by itself when the connection ends, even by ``kill -9``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pymachine.clock import REAL
from pymachine.errors import PymachineError
from pymachine.templates import render
from pymachine_kvm.boot import POLL, BootEnded, GuestConsole, why_stopped
from pymachine_kvm.boot_log import Progress
from pymachine_kvm.libvirt_api import GONE, code_of, libvirt, translated
from pymachine_kvm.libvirt_types import Connection, Domain

DEADLINE = 25.0
MEMORY_MIB = 512


@dataclass(frozen=True, slots=True)
class Answer:
    """``fault`` is why Linux makes no progress, empty when it does. ``lasting``: not worth asking again soon."""

    fault: str = ""
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class BootDisk:
    """A disk with a Linux that boots: ``path`` on the libvirt host, ``format`` qcow2 or raw.

    ``uefi`` for one that boots by UEFI alone; aarch64 knows nothing else.
    """

    path: str
    format: str
    arch: str = "x86_64"
    uefi: bool = False

    @property
    def by_uefi(self) -> bool:
        """Whether it is booted by UEFI."""
        return self.uefi or self.arch == "aarch64"


def ask_guest(conn: Connection, disk: BootDisk, *, deadline: float = DEADLINE, virt_type: str = "kvm") -> Answer:
    """Boot a disk under hardware virtualisation and say whether its Linux makes progress.

    Takes as long as the kernel takes to its first program (a few seconds), or ``deadline`` seconds. Leaves nothing.
    """
    try:
        with _running(conn, disk, virt_type) as domain:
            return Answer(_watch(conn, domain, deadline))
    except PymachineError as error:
        return Answer(_in_short(error.message), lasting=_blames_kvm(error.message, disk))


@contextmanager
def _running(conn: Connection, disk: BootDisk, virt_type: str) -> Iterator[Any]:
    """Make the guest, stopped before its first instruction so that the console misses nothing."""
    module = libvirt()
    flags = module.VIR_DOMAIN_START_AUTODESTROY | module.VIR_DOMAIN_START_PAUSED
    text = domain_xml(f"pymachine-probe-{secrets.token_hex(4)}", disk, virt_type)
    with translated("starting a guest under hardware virtualisation"):
        domain = conn.createXML(text, flags)
    try:
        yield domain
    finally:
        _remove(conn, domain, text, disk)


def domain_xml(name: str, disk: BootDisk, virt_type: str = "kvm") -> str:
    """Return the definition of the guest."""
    return render(
        "libvirt/probe.xml.j2", name=name, uuid=str(uuid4()), disk=disk, virt_type=virt_type, memory=MEMORY_MIB
    )


def _watch(conn: Connection, domain: Domain, deadline: float) -> str:
    console, progress = GuestConsole(conn, domain), Progress()
    try:
        with translated("watching a guest under hardware virtualisation"):
            domain.resume()
            for _ in REAL.ticks(deadline, POLL):
                if any(progress.shown_by(line) for line in console.read()):
                    return ""
                if stopped := _stopped(domain):
                    return stopped.reason
    finally:
        console.close()
    return f"a Linux guest printed {progress.so_far()} within {deadline:.0f} s"


def _stopped(domain: Domain) -> BootEnded | None:
    """Return why the guest stopped; a transient one that ended does not exist any more."""
    try:
        return why_stopped(domain)
    except libvirt().libvirtError as error:
        if code_of(error) in GONE:
            return BootEnded("the guest ended by itself")
        raise


def _blames_kvm(message: str, disk: BootDisk) -> bool:
    """Return whether an error is about KVM; lack of memory, or a disk that cannot be read, says nothing about it."""
    return "kvm" in message.lower() and disk.path not in message


def _in_short(message: str) -> str:
    """Return an error without what QEMU puts before each of its own: the time and its name."""
    *_, own = re.split(r"\S+Z qemu-system-\S+: ", message, maxsplit=1)
    text = re.sub(r" qemu-system-\S+:.*", "", own)
    return text if own == message else f"QEMU does not run: {text[:160].removeprefix('error: ')}"


def _remove(conn: Connection, domain: Domain, text: str, disk: BootDisk) -> None:
    """End the guest; only a persistent domain takes its firmware's variables with it, so it is made one before."""
    module = libvirt()
    with suppress(module.libvirtError):
        if disk.by_uefi:
            domain = conn.defineXML(text)
    with suppress(module.libvirtError):  # it may have ended by itself
        domain.destroy()
    with suppress(module.libvirtError):
        if disk.by_uefi:
            domain.undefineFlags(module.VIR_DOMAIN_UNDEFINE_NVRAM)
