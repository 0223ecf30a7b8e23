"""File locks, held by an open file of this process, so that they end with the process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pymachine.clock import REAL
from pymachine.errors import DeadlineExceeded

POLL = 0.2


@contextmanager
def held(path: Path, *, deadline: float = 3600.0, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of that file, which is created if necessary.

    ``waiting`` is called once if another process holds it.

    The holder may delete the file. Raises ``DeadlineExceeded`` after ``deadline`` seconds.
    """
    descriptor = _open(path)
    try:
        for _ in REAL.ticks(deadline, POLL):
            if not _is_at(descriptor, path):
                os.close(descriptor)
                descriptor = _open(path)
            if _taken(descriptor) and _is_at(descriptor, path):
                break
            if waiting is not None:
                waiting()
                waiting = None
        else:
            raise DeadlineExceeded(
                f"another process has been working on {path.stem} for too long",
                hint=f"`fuser {path}` shows which",
            )
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock now; a missing file is not held."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _taken(descriptor)
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether this is still the file at that path: a lock on a deleted file has no effect."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
