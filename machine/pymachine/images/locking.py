"""File locks: held by an open file of this process, so that they end with it whatever happens."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pymachine.errors import DeadlineExceeded

POLL = 0.2


@contextmanager
def held(path: Path, *, deadline: float = 3600.0, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of that file, made if need be; ``waiting`` is called once if somebody else has it.

    Raises ``DeadlineExceeded`` after ``deadline`` seconds.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _taken(descriptor):
            if waiting is not None:
                waiting()
            _wait(descriptor, path, time.monotonic() + deadline)
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Tell whether some process holds the lock now; a file that is not there is held by nobody."""
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


def _wait(descriptor: int, path: Path, end: float) -> None:
    while not _taken(descriptor):
        if time.monotonic() > end:
            raise DeadlineExceeded(
                f"another process has been working on {path.stem} for too long", hint=f"`fuser {path}` shows which"
            )
        time.sleep(POLL)
