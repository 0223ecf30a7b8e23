"""Copies large files efficiently: shared blocks if the file system supports them, and sparse areas stay sparse."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

CHUNK = 64 << 20


def copy(source: Path, target: Path) -> None:
    """Copy a file's content. Raises ``OSError``."""
    with source.open("rb") as given, target.open("wb") as made:
        size = os.fstat(given.fileno()).st_size
        made.truncate(size)
        for begin, end in _extents(given.fileno(), size):
            _copy_range(given.fileno(), made.fileno(), begin, end)


def _extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data."""
    end = 0
    while end < size:
        try:
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        end = os.lseek(descriptor, begin, os.SEEK_HOLE)
        yield begin, end


def _copy_range(source: int, target: int, begin: int, end: int) -> None:
    while begin < end:
        count = min(CHUNK, end - begin)
        try:
            done = os.copy_file_range(source, target, count, begin, begin)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            done = os.pwrite(target, os.pread(source, min(count, 1 << 20), begin), begin)
        if done == 0:  # the file became shorter while it was read
            return
        begin += done
