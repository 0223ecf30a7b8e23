"""Settling whether a machine uses hardware virtualisation (``kvm``) or emulation (``qemu``).

``auto`` rules hardware out by what the host says, which is cheap and asked each time. What the host promises is then
put to the proof by a guest (``probe``), once: the answer is remembered until the kernel, QEMU or libvirt is another.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pymachine.errors import CheckFailed
from pymachine_kvm.kvm_device import DeviceFile, kvm_node, text_of
from pymachine_kvm.kvm_probe import Answer
from pymachine_kvm.libvirt_api import is_local, is_session, translated
from pymachine_kvm.libvirt_types import Connection
from pymachine_kvm.virtualization_cache import Verdict, Verdicts


@dataclass(frozen=True, slots=True)
class Promise:
    """What a libvirt host says of hardware virtualisation for an architecture.

    ``offered`` are the architectures it lists ``kvm`` for. ``node`` is the device, looked at only where the daemon is
    ``local``; None where there is none. ``refuted`` is why a guest that was asked before made no progress.
    """

    arch: str
    offered: frozenset[str]
    local: bool
    node: DeviceFile | None = None
    refuted: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """What an answer holds for: another host, kernel, QEMU or libvirt is asked again."""

    uri: str
    identity: str
    versions: tuple[str, ...]

    def key(self, arch: str) -> str:
        """Return the name under which the answer for an architecture is kept."""
        text = json.dumps([self.uri, self.identity, self.versions, arch])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def settle(
    conn: Connection, wanted: str, arch: str | None, ask: Callable[[], Answer], notice: Callable[[str], None]
) -> str:
    """Return ``kvm`` or ``qemu`` for a wanted ``auto``, ``kvm`` or ``qemu``; ``arch`` None is the host's own.

    ``ask`` boots a guest under hardware virtualisation (``probe.ask_guest``), on a host that promises it and was not
    asked yet. ``notice`` is told once that emulation is the only way. Raises ``CheckFailed`` for a wanted ``kvm``
    that the host rules out, or under which the guest makes no progress: a machine would wait out its whole boot.
    """
    if wanted == "qemu":
        return "qemu"
    promise = promise_of(conn, arch)
    if wanted == "kvm":
        return insist(promise, host_of(conn), Verdicts.default(os.environ), ask)
    return decide(promise, host_of(conn), Verdicts.default(os.environ), ask, notice)


def insist(promise: Promise, host: Host, memory: Verdicts, ask: Callable[[], Answer]) -> str:
    """Return ``kvm``. Raises ``CheckFailed`` as ``settle``; an error that says nothing about KVM is ignored."""
    fault = why_not(promise)
    known = memory.recall(host.key(promise.arch))
    if not fault and not (known and known.asked):
        answer = ask()
        if answer.lasting:
            memory.keep(host.key(promise.arch), Verdict(answer.fault, asked=True, uri=host.uri))
            promise = replace(promise, refuted=answer.fault)
            fault = answer.fault
    if fault:
        raise CheckFailed(f"--kvm-virt-type kvm: no hardware virtualisation: {fault}", hint=mend(promise))
    return "kvm"


def decide(
    promise: Promise, host: Host, memory: Verdicts, ask: Callable[[], Answer], notice: Callable[[str], None]
) -> str:
    """Return ``kvm`` or ``qemu`` by what rules it out, else by what is remembered, else by asking a guest."""
    key = host.key(promise.arch)
    known, fault = memory.recall(key), ruled_out(promise)
    if not fault and known and known.asked:
        return _type(known.fault)
    answer = Answer(fault) if fault else ask()
    if answer.lasting:
        memory.keep(key, Verdict(answer.fault, asked=not fault, uri=host.uri))
    if answer.fault and not (known and known.fault == answer.fault):
        notice(_emulated(host, answer.fault, promise.node.mend if promise.node else ""))
    return _type(answer.fault)


def ruled_out(promise: Promise) -> str:
    """Return why hardware virtualisation is out of the question, empty where a guest has to be asked."""
    if promise.offered and promise.arch not in promise.offered:
        return f"libvirt offers none for {promise.arch}"
    if promise.local and promise.node is None:
        return "there is no /dev/kvm (switched off in the firmware, or this host is itself a guest)"
    if promise.node and promise.node.fault:
        return promise.node.fault
    return "" if promise.offered else "libvirt offers none"


def why_not(promise: Promise) -> str:
    """Return why hardware virtualisation would not work: ruled out, or shown by a guest; empty where it may."""
    return ruled_out(promise) or promise.refuted


def mend(promise: Promise) -> str:
    """Return what to do where it would not work."""
    if promise.refuted and not ruled_out(promise):
        kept = Verdicts.default(os.environ).path
        return f"--kvm-virt-type qemu emulates, about ten times slower; to probe with a guest again: rm '{kept}'"
    closed = promise.node.mend if promise.node else ""
    return closed or "--kvm-virt-type qemu emulates, about ten times slower"


def promise_of(conn: Connection, arch: str | None) -> Promise:
    """Ask the host what it promises."""
    with translated("asking libvirt for its capabilities"):
        own, offered = read_capabilities(conn.getCapabilities())
    local = is_local(conn)
    node = kvm_node(session=is_session(conn)) if local else None
    known = Verdicts.default(os.environ).recall(host_of(conn).key(arch or own))
    return Promise(arch or own, offered, local, node, known.fault if known and known.asked else "")


def read_capabilities(text: str) -> tuple[str, frozenset[str]]:
    """Return the host's architecture and those that libvirt lists ``kvm`` for, out of its capabilities XML."""
    root = ET.fromstring(text)
    arches = root.findall("guest/arch")
    offered = (a.get("name", "") for a in arches if any(d.get("type") == "kvm" for d in a.findall("domain")))
    return root.findtext("host/cpu/arch", ""), frozenset(offered)


def host_of(conn: Connection) -> Host:
    """Return what tells this host and its software from others.

    libvirt invents the host's UUID at each start where the firmware has none; of this host the machine-id is better.
    """
    with translated("asking libvirt for its version"):
        versions = (str(conn.getLibVersion()), str(conn.getVersion()))
        if not is_local(conn):
            return Host(conn.getURI(), ET.fromstring(conn.getCapabilities()).findtext("host/uuid", ""), versions)
    identity = text_of(Path("/etc/machine-id")).strip() or platform.node()
    return Host(conn.getURI(), identity, (platform.release(), *versions))


def _type(fault: str) -> str:
    return "qemu" if fault else "kvm"


def _emulated(host: Host, fault: str, cure: str) -> str:
    text = f"{host.uri}: no hardware virtualisation: {fault}; machines are emulated there, about ten times slower"
    return f"{text}; to fix it: {cure}" if cure else text
