"""Who a process is, well enough to tell from another one whether it still lives.

A process id alone is not: ids are used again, other hosts and containers count their own.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_ENDED = ("Z", "X", "x")  # proc_pid_stat(5): zombies have ended, even if nobody took note of it


class Life(Enum):
    """What is known of a process."""

    LIVES = "lives"
    ENDED = "ended"
    UNKNOWN = "unknown"  # it counts on another host, in another container, or the system does not tell


@dataclass(frozen=True, slots=True)
class Process:
    """One process. ``boot`` names the run of its kernel, ``namespace`` the place its ``pid`` counts in.

    ``started`` is its start time in clock ticks since boot. Empty texts where the system does not tell.
    """

    user: str
    host: str
    host_id: str
    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> Process:
        """Return this process."""
        pid = os.getpid()
        return cls(
            user=_user(),
            host=socket.gethostname(),
            host_id=_host_id(),
            boot=_text("/proc/sys/kernel/random/boot_id"),
            namespace=_link("/proc/self/ns/pid"),
            pid=pid,
            started=start_of(pid) or "",
        )

    def life(self, observer: Process, *, since_boot: bool) -> Life:
        """Return what ``observer`` can tell for certain of this process.

        ``since_boot`` says that it was alive after the observer's kernel had started. A process of another kernel is
        then on another computer with the same name and machine-id, as containers of one image have them.
        """
        if self.host_id != observer.host_id:
            return Life.UNKNOWN
        if self.boot != observer.boot:
            return Life.UNKNOWN if since_boot else Life.ENDED
        if self.namespace != observer.namespace:
            return Life.UNKNOWN
        begun = start_of(self.pid)
        if begun == "" or not self.started:
            return Life.UNKNOWN if begun is not None else Life.ENDED
        return Life.LIVES if begun == self.started else Life.ENDED


def seconds_since_boot() -> float:
    """Return the seconds since the kernel started, with those asleep; without end where the system does not tell."""
    try:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    except (AttributeError, OSError):  # not Linux
        return float("inf")


def start_of(pid: int, proc: str = "/proc") -> str | None:
    """Return when a process began, in clock ticks since boot: None if it has ended, "" where nobody can tell."""
    text = _text(f"{proc}/{pid}/stat")
    if text:
        # The second field is the program's name in parentheses, which may hold blanks and parentheses itself.
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in _ENDED else fields[19]
    # Nothing to read is not ended: /proc may be absent, or hide the processes of other users (hidepid, proc(5)).
    return "" if _answers(pid) else None


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have them
        return str(os.getuid())


def _host_id() -> str:
    """Two hosts can share a name and a store. The machine id is confidential (machine-id(5)), so hashed."""
    import hashlib

    seed = f"pymachine {socket.gethostname()} {_text('/etc/machine-id')}"
    return hashlib.sha256(seed.encode()).hexdigest()[:16]


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""
