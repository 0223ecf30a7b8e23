"""Locks between the pymachine processes of this host, on things that libvirt lets two creates spoil together."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymachine.errors import DriverError

POLL = 0.1  # seconds between two tries: flock takes no deadline


@contextmanager
def exclusive(
    connection: Any, what: str, *, deadline: float = 60.0, waiting: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold the lock on ``what`` ("network default") of this daemon; processes of other hosts are not kept out.

    ``waiting`` is called once where somebody else holds it. The kernel gives it back when its holder dies.
    Raises ``DriverError`` after ``deadline`` seconds.
    """
    name = hashlib.sha256(f"{connection.getURI()} {what}".encode()).hexdigest()[:16]
    with (lock_folder() / f"{name}.lock").open("w") as file:
        if not _take(file.fileno()):
            if waiting:
                waiting()
            _wait_for(file.fileno(), what, deadline)
        yield


def lock_folder() -> Path:
    """Return a folder of this user's for lock files, made 0700. Raises ``DriverError`` where it is not ours."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    folder = base / f"pymachine-kvm-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise DriverError(f"{folder} belongs to somebody else", hint=f"remove {folder}, or set XDG_RUNTIME_DIR")
    return folder


def _take(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for(file: int, what: str, deadline: float) -> None:
    end = time.monotonic() + deadline
    while not _take(file):
        if time.monotonic() > end:
            raise DriverError(
                f"{what}: another pymachine works on it for more than {deadline:.0f} s", hint="try again later"
            )
        time.sleep(POLL)
