"""Follows a guest's boot by its console and state, until it answers SSH or cannot answer any more."""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pymachine.clock import REAL
from pymachine.errors import DriverError, PymachineError
from pymachine_kvm import libvirt_api
from pymachine_kvm.boot_log import SSH, Lines, Story, begins_rescue
from pymachine_kvm.handle import Vm
from pymachine_kvm.libvirt_api import libvirt
from pymachine_kvm.libvirt_types import Connection, Domain
from pymachine_kvm.panic import Resets, ends_panic
from pymachine_kvm.power import cut

POLL = 0.1
KNOCK_EVERY = 0.2
CONNECT_DEADLINE = 0.8
BANNER_DEADLINE = 8.0  # each connection costs an emulated guest a process: better to wait on one than to knock again
USER_NETWORK_DEADLINE = 2.0  # QEMU's own network accepts for a guest that is not up yet: silence tells nothing there
EMULATION_FACTOR = 3
CHUNK = 1 << 16

Connect = Callable[[str], AbstractContextManager[Any]]

_console_log = logging.getLogger("pymachine.console")


@dataclass(frozen=True, slots=True)
class BootEnded:
    """The guest stopped, or can no longer be observed: why, and what to do."""

    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """The guest was reset and boots again: why."""

    reason: str


Seen = str | BootEnded | Again


class GuestConsole:
    """The output of a running domain's console, read without blocking.

    The stream is libvirt's, so that it works for a daemon of this host, of a user and of another host. A console that
    is not available (somebody else is attached to it) reads as silent.
    """

    def __init__(self, conn: Connection, domain: Domain) -> None:
        self._lines = Lines()
        self._stream = _open_console(conn, domain)

    def read(self) -> list[str]:
        """Return the lines that were completed since the last call."""
        lines: list[str] = []
        while self._stream is not None:
            data = self._received()
            if data == -2:  # nothing there just now: virStreamRecv(3) of a non-blocking stream
                break
            if not data:
                self._stream = None
                break
            lines += self._lines.feed(data)
        return lines

    def unfinished(self) -> str:
        """Return the last line where it has no end."""
        return self._lines.unfinished()

    def close(self) -> None:
        """Release the console."""
        if self._stream is not None:
            with suppress(libvirt().libvirtError):
                self._stream.abort()
            self._stream = None

    def _received(self) -> Any:
        try:
            return self._stream.recv(CHUNK)
        except libvirt().libvirtError:  # the guest is gone; its state says why
            return b""


def _open_console(conn: Connection, domain: Domain) -> Any:
    try:
        stream = conn.newStream(libvirt().VIR_STREAM_NONBLOCK)
        domain.openConsole(None, stream, 0)
    except libvirt().libvirtError as error:
        _console_log.debug("no console to follow: %s", error)
        return None
    return stream


def follow(
    vm: Vm,
    *,
    deadline: float,
    progress: Callable[[str], None],
    reached: Callable[[], bool] | None = None,
    connect: Connect = libvirt_api.connect,
) -> None:
    """Follow a machine that was just started until it answers SSH.

    ``deadline`` counts seconds, of which an emulated guest gets ``EMULATION_FACTOR`` times as many. ``progress`` is
    told each phase once; every console line goes to the logger ``pymachine.console``. ``reached`` says whether the
    guest can be reached, called up to five times a second and to return within seconds; by default, whether an SSH
    banner comes from the machine's own address; behind another host, where that address may lead nowhere from here,
    it is enough that the console says so. Raises ``DriverError`` with the phase and the last lines for a guest that
    stops, that is not there in time, or that libvirt shows no more.
    """
    patience = scaled(deadline, vm.virt_type)
    story = Story(lambda phase: progress(f"booting: {phase}"), lambda line: _console_log.debug("%s", line))
    with _watched(vm, connect) as seen:
        if not _arrived(seen, story, reached or _banner_of(vm, story), patience):
            raise _unreached(vm, story, patience)
        for line in _waiting(seen):
            if isinstance(line, str):  # that libvirt went away just now does not matter any more
                story.take(line)


def _banner_of(vm: Vm, story: Story) -> Callable[[], bool]:
    behind = bool(urlsplit(vm.uri).hostname)
    return lambda: has_banner(*ssh_address(vm), _banner_deadline(vm)) or (behind and story.has_passed(SSH))


def scaled(seconds: float, virt_type: str) -> float:
    """Return the time limit for what takes this many seconds with hardware virtualisation."""
    return seconds * EMULATION_FACTOR if virt_type == "qemu" else seconds


def ssh_address(vm: Vm) -> tuple[str, int]:
    """Return the address of the guest's SSH from this host."""
    return (vm.address, 22) if vm.network else ("127.0.0.1", vm.ssh_port)


def _banner_deadline(vm: Vm) -> float:
    return BANNER_DEADLINE if vm.network else USER_NETWORK_DEADLINE


def has_banner(host: str, port: int, deadline: float = BANNER_DEADLINE) -> bool:
    """Whether an SSH server accepts a connection and sends its banner within ``deadline`` seconds.

    The banner counts and not the connection, because QEMU's user network accepts before the guest does. Never raises.
    """
    try:
        with socket.create_connection((host, port), timeout=min(deadline, CONNECT_DEADLINE)) as sock:
            sock.settimeout(deadline)
            return sock.recv(4) == b"SSH-"
    except OSError:
        return False


def why_stopped(domain: Domain) -> BootEnded | None:
    """Return why a domain has stopped, None for one that runs or was paused on purpose."""
    module = libvirt()
    state, reason = domain.state()
    if state == module.VIR_DOMAIN_PAUSED:
        return _why_paused(domain, reason)
    if state == module.VIR_DOMAIN_CRASHED:
        return BootEnded("its system crashed", "`pymachine console` shows its last output")
    if state == module.VIR_DOMAIN_SHUTOFF:
        return BootEnded(_OFF.get(reason, "it was switched off"))
    return None  # one that is about to be off (VIR_DOMAIN_SHUTDOWN) says why once it is


# virDomainShutoffReason
_OFF = {
    1: "it shut itself down",
    2: "it was switched off",
    3: "QEMU crashed",
    6: "QEMU failed to start it",
    8: "the libvirt daemon shut it down",
}


def _why_paused(domain: Domain, reason: int) -> BootEnded | None:
    module = libvirt()
    if reason == module.VIR_DOMAIN_PAUSED_IOERROR:
        return _disk_fault(domain)
    if reason == module.VIR_DOMAIN_PAUSED_CRASHED:
        return BootEnded("its system crashed", "`pymachine console` shows its last output")
    if reason == module.VIR_DOMAIN_PAUSED_UNKNOWN:
        return BootEnded(
            "QEMU paused it because of an internal error (hardware virtualisation fails on this host)",
            "try it emulated: --kvm-virt-type qemu",
        )
    return None


def _disk_fault(domain: Domain) -> BootEnded:
    full = libvirt().VIR_DOMAIN_DISK_ERROR_NO_SPACE
    disks = domain.diskErrors()
    if full in disks.values():
        disk = next(name for name, fault in disks.items() if fault == full)
        return BootEnded(
            f"its host's disk is full: writing to {disk} failed",
            "free space in the pool, then `virsh resume` it or create it again",
        )
    return BootEnded(
        "it was paused because of an input/output error of its disk", "its host's kernel log says more (`dmesg`)"
    )


@contextmanager
def _watched(vm: Vm, connect: Connect) -> Iterator[queue.SimpleQueue[Seen]]:
    """Watch a domain in a thread of its own, with a connection of its own: a call of libvirt may hang."""
    seen: queue.SimpleQueue[Seen] = queue.SimpleQueue()
    done = threading.Event()
    arguments = (vm, connect, seen, done)
    thread = threading.Thread(target=_watch, args=arguments, name=f"console of {vm.name}", daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join(1.0)


def _watch(vm: Vm, connect: Connect, seen: queue.SimpleQueue[Seen], done: threading.Event) -> None:
    try:
        with libvirt_api.translated(f"watching {vm.name}"), connect(vm.uri) as conn:
            domain = conn.lookupByUUIDString(vm.uuid)
            seen_out(conn, domain, seen.put, done.wait, Resets(domain, emulated=vm.virt_type == "qemu"))
    except PymachineError as error:
        seen.put(BootEnded(error.message, error.hint))


def seen_out(
    conn: Connection, domain: Domain, put: Callable[[Seen], None], pause: Callable[[float], bool], resets: Resets
) -> None:
    """Pass on what a domain prints, and why it stopped if it does; ``pause(seconds)`` true ends it.

    A kernel that panicked stands still for ever: the guest is reset where that may help, and else switched off, so
    that whatever starts it next has it boot.
    """
    console = GuestConsole(conn, domain)
    try:
        end = None
        while end is None and not pause(POLL):
            end = why_stopped(domain)  # asked first: what was printed before the end is read after it
            for line in console.read():
                put(line)
                resets.hear(line)
                if ends_panic(line):
                    end = _given_up(domain, resets, put)
                elif begins_rescue(line):
                    end = BootEnded(
                        "its boot failed and waits in a rescue shell", "`pymachine console -a` connects you to it"
                    )
        if rest := console.unfinished():
            put(rest)
        if end:
            put(end)
    finally:
        console.close()


def _given_up(domain: Domain, resets: Resets, put: Callable[[Seen], None]) -> BootEnded | None:
    if resets.reset():
        put(Again("its kernel panicked"))
        return None
    cut(domain)
    return BootEnded("its kernel panicked, and it was switched off", "`pymachine console` shows its whole output")


def _arrived(seen: queue.SimpleQueue[Seen], story: Story, reached: Callable[[], bool], patience: float) -> bool:
    for _ in REAL.ticks(patience, KNOCK_EVERY):
        _tell(_waiting(seen), story)
        if reached():
            return True
    return False


def _waiting(seen: queue.SimpleQueue[Seen]) -> Iterator[Seen]:
    with suppress(queue.Empty):
        while True:
            yield seen.get_nowait()


def _tell(events: Iterator[Seen], story: Story) -> None:
    for event in events:
        if isinstance(event, BootEnded):
            raise _fault(event.reason, story, event.hint)
        if isinstance(event, Again):
            story.begin_again(event.reason)
        else:
            story.take(event)


def _unreached(vm: Vm, story: Story, patience: float) -> DriverError:
    host, port = ssh_address(vm)
    return _fault(
        f"no SSH from {host or 'it'} port {port} within {patience:.0f} s",
        story,
        "--kvm-boot-timeout waits longer; `pymachine console` shows its whole output",
    )


def _fault(reason: str, story: Story, hint: str | None) -> DriverError:
    where = f"the guest stopped at: {story.phase}" if story.phase else "the guest printed nothing recognisable"
    return DriverError("\n  | ".join((f"{reason}; {where}", *story.last)), hint=hint)
