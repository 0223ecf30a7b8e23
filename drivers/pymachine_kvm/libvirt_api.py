"""The one edge to libvirt: its module, connections that end, and its errors in our words.

Deadlines: opening a connection is given up after ``OPEN_DEADLINE`` seconds. On an open one keep-alive messages
find out within ``ALIVE_INTERVAL * ALIVE_COUNT`` seconds that the daemon or the way to it is dead; every call that
waits for an answer then fails. A daemon that is alive but slow (it starts a guest, say) has no limit: libvirt's
calls take none.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from pymachine.clock import Deadline
from pymachine.errors import CheckFailed, DriverError, DriverMissing, PymachineError
from pymachine.parallel import Call
from pymachine_kvm.libvirt_types import Connection

T = TypeVar("T")

OPEN_DEADLINE = 30.0
ALIVE_INTERVAL = 5
ALIVE_COUNT = 3

# Numbers of virErrorNumber (libvirt/virterror.h) that mean something of their own here.
NOT_SUPPORTED = 3
INVALID_ARGUMENT = 8  # a flag that this libvirt does not know, too
OPERATION_DENIED = 29
SYSTEM_ERROR = 38
NO_DOMAIN = 42
NO_NETWORK = 43
AUTHENTICATION_FAILED = 45
NO_POOL = 49
NO_VOLUME = 50
OPERATION_INVALID = 55
AUTHENTICATION_CANCELLED = 79
ACCESS_DENIED = 88
AUTHENTICATION_UNAVAILABLE = 94

GONE = frozenset({NO_DOMAIN, NO_NETWORK, NO_POOL, NO_VOLUME})
_DENIED = frozenset({
    OPERATION_DENIED, AUTHENTICATION_FAILED, AUTHENTICATION_CANCELLED, ACCESS_DENIED, AUTHENTICATION_UNAVAILABLE,
})  # fmt: skip
# What libvirt's client says when the daemon went away under it; these have no number of their own.
_LOST = (
    "client socket is closed", "End of file while reading data", "received hangup", "keepalive timeout",
    "Cannot write data", "Cannot recv data", "connection closed due to",
)  # fmt: skip


@cache
def libvirt() -> Any:
    """Return libvirt's Python module, silenced: it would print every error on stderr by itself.

    Raises ``DriverMissing`` where it is not installed.
    """
    try:
        module = importlib.import_module("libvirt")
    except ImportError as error:
        raise DriverMissing(
            f"the kvm driver needs libvirt-python: {error}",
            hint="apt install libvirt-dev gcc pkg-config python3-dev && pip install 'pymachine-docker[kvm]'",
        ) from error
    module.registerErrorHandler(_say_nothing, None)
    return module


@contextmanager
def connect(
    uri: str, *, read_only: bool = False, deadline: float = OPEN_DEADLINE, alive: int = ALIVE_INTERVAL
) -> Iterator[Any]:
    """Open a connection (``virConnect``) within ``deadline`` seconds, close it at the end. Never asks for a password.

    ``alive`` is how many seconds the other side may be silent before it is asked whether it lives. Raises
    ``CheckFailed`` with the mending command where there is no daemon, no right or no such URI.
    """
    connection = _open(_Way(_quiet(uri), read_only, alive), uri, deadline)
    try:
        yield connection
    finally:
        _close(connection)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Convert libvirt's errors: ``what`` is what was tried ("starting network 'default'").

    Raises ``CheckFailed`` if a permission is missing, else ``DriverError``; ``code_of`` returns the number of either.
    """
    try:
        yield
    except libvirt().libvirtError as error:
        raise _ours(what, error) from error


def code_of(error: BaseException | None) -> int:
    """Return the virErrorNumber of an error of libvirt or of one translated from it, 0 for any other."""
    while error is not None:
        if isinstance(error, libvirt().libvirtError):
            return int(error.get_error_code() or 0)
        error = error.__cause__
    return 0


def found(look_up: Callable[[], T], gone: frozenset[int] = GONE) -> T | None:
    """Return what a look-up finds, None for a thing that libvirt does not have.

    ``gone`` are the numbers that say so. Other errors of libvirt are the caller's to translate.
    """
    try:
        return look_up()
    except libvirt().libvirtError as error:
        if code_of(error) not in gone:
            raise
        return None


def is_local(connection: Connection) -> bool:
    """Whether the daemon runs on this host."""
    return not urlsplit(connection.getURI()).hostname


def is_session(connection: Connection) -> bool:
    """Return whether this is a user's own daemon. Root's ``qemu:///session`` is the system's: libvirt's rule."""
    own = urlsplit(connection.getURI()).path.endswith("/session")
    return own and not (is_local(connection) and os.geteuid() == 0)


@dataclass(frozen=True, slots=True)
class _Way:
    """How to open a connection."""

    uri: str
    read_only: bool
    alive: int


def _open(way: _Way, uri: str, deadline: float) -> Any:
    # In a thread of its own: libvirt's call takes no deadline, and ssh may wait for ever.
    opening = Call(partial(_opened, way)).begin()
    try:
        return opening.result(Deadline(deadline))
    except TimeoutError:
        raise CheckFailed(
            f"{uri}: no answer within {deadline:.0f} s", hint=f"`virsh -c '{uri}' version` must answer"
        ) from None
    except libvirt().libvirtError as error:
        raise _unopened(uri, error) from error


def _opened(way: _Way) -> Any:
    module = libvirt()
    _run_events()
    connection = module.openReadOnly(way.uri) if way.read_only else module.open(way.uri)
    _keep_alive(connection, way.alive)
    return connection


def _keep_alive(connection: Connection, interval: int) -> None:
    try:
        connection.setKeepAlive(interval, ALIVE_COUNT)
    except libvirt().libvirtError as error:
        if code_of(error) != NOT_SUPPORTED:  # test:///, which has no daemon
            raise


@cache
def _run_events() -> None:
    """Run libvirt's event loop in the background, once a process: keep-alive needs it, and before the first open."""
    module = libvirt()
    module.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            module.virEventRunDefaultImpl()

    threading.Thread(target=run, name="libvirt-events", daemon=True).start()


def _close(connection: Connection) -> None:
    try:
        connection.close()
    except libvirt().libvirtError:  # the daemon is gone: so is the connection
        return


def _quiet(uri: str) -> str:
    """Keep ssh from asking on the terminal: behind a progress display nobody would see the question."""
    parts = urlsplit(uri)
    if not parts.scheme.endswith("+ssh") or "no_tty=" in parts.query:
        return uri
    return f"{uri}{'&' if parts.query else '?'}no_tty=1"


def _say_nothing(_context: object, _error: object) -> None:
    """Take libvirt's report of an error; the exception says it all."""


def _ours(what: str, error: Any) -> PymachineError:
    text = _one_line(error)
    if code_of(error) in _DENIED:
        return CheckFailed(f"{what}: {text}", hint=_RIGHTS)
    if any(sign in text for sign in _LOST):
        return DriverError(
            f"{what}: the connection to libvirt was lost: {text}",
            hint="start libvirt, then run the same command again",
        )
    return DriverError(f"{what}: {text}", hint=_hint(text))


_SCHEMES = ("qemu", "test")
_RIGHTS = "sudo usermod -aG libvirt $USER, then log in again; or --kvm-uri qemu:///session"
_KNOWN = (
    ("No space left", "free space in the pool's folder, then run the same command again"),
    ("not enough free space", "choose another pool (--kvm-pool), or free space in this one"),
    ("Cannot allocate memory", "give it less memory (--kvm-memory), or stop another machine"),
    ("cannot set up guest memory", "give it less memory (--kvm-memory), or stop another machine"),
    ("Could not access KVM", "--kvm-virt-type qemu emulates; `ls -l /dev/kvm` shows who may use the hardware"),
    ("virtlogd", "systemctl start virtlogd.socket virtlogd"),
    ("host forwarding rule", "its port on 127.0.0.1 is taken: `ss -ltnp` shows by whom"),
    ("find any firmware", "apt install ovmf qemu-efi-aarch64 where libvirt runs"),
    ("find 'efi' firmware", "apt install ovmf qemu-efi-aarch64 where libvirt runs"),
    ("No emulator found", "apt install qemu-system-x86 qemu-system-arm where libvirt runs"),
    ("does not support virt type 'kvm'", "--kvm-virt-type qemu: another architecture can only be emulated"),
    ("expects a netdev backend type", "apt install passt: this QEMU has no user network of its own"),
    ("Network not found", "`virsh net-list --all` lists the networks there are"),
    ("cannot open directory", "`virsh pool-build POOL` makes the folder of a pool again"),
    ("dnsmasq", "apt install dnsmasq-base"),
)


def _hint(text: str) -> str | None:
    return next((hint for sign, hint in _KNOWN if sign in text), None)


def _unopened(uri: str, error: Any) -> CheckFailed:
    text, parts = _one_line(error), urlsplit(uri)
    if parts.hostname:
        return CheckFailed(f"{uri}: {text}", hint=_hint_for_remote(parts, uri))
    if code_of(error) in _DENIED or "Permission denied" in text:
        return CheckFailed(f"{uri}: access to libvirt was denied: {text}", hint=_RIGHTS)
    # An unknown scheme is left to the daemon, so that without one libvirt only says that there is none.
    if code_of(error) == SYSTEM_ERROR and parts.scheme.partition("+")[0] in _SCHEMES:
        return CheckFailed(f"{uri}: libvirt does not run: {text}", hint=_hint_for_daemon(parts.path))
    return CheckFailed(
        f"{uri}: {text}", hint="use qemu:///system, qemu:///session or qemu+ssh://USER@HOST/system for --kvm-uri"
    )


def _hint_for_daemon(path: str) -> str:
    if path.endswith("/session"):
        return "apt install libvirt-daemon libvirt-daemon-driver-qemu qemu-system"
    return "sudo systemctl start libvirtd; if it is not installed: apt install libvirt-daemon-system qemu-system"


def _hint_for_remote(parts: SplitResult, uri: str) -> str:
    if not parts.scheme.endswith("+ssh"):
        return f"`virsh -c '{uri}' version` must work"
    who = f"{parts.username}@{parts.hostname}" if parts.username else parts.hostname
    port = f" -p {parts.port}" if parts.port else ""
    return f"`ssh -o BatchMode=yes{port} {who} virsh version` must work: it needs a key, and libvirt on that host"


def _one_line(error: Any) -> str:
    return " ".join(str(error.get_error_message() or error).split())
