"""Paths that the user gives, and what is read from there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

SIZE_LIMIT = 4 << 20  # bytes of a file that is read in whole


def user_path(text: str | Path) -> Path:
    """Return the path with ``~`` and ``~user`` filled in.

    As in a shell, the home of an account that does not exist stays as it is written: there is no such file then.
    """
    if "\0" in str(text):  # not a path: opening it fails
        return Path(text)
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises RuntimeError for ~nobody-here


def read_whole(path: Path, limit: int = SIZE_LIMIT) -> bytes:
    """Return the content of a file, or of a pipe. Raises ``OSError``, also for more than ``limit`` bytes."""
    with path.open("rb") as file:
        return read_to_end(file, str(path), limit)


def read_lines(path: Path) -> str:
    """Return the text of a file in UTF-8, with line feeds as line ends. Raises ``OSError``, ``ValueError``."""
    return as_lines(read_whole(path))


def as_lines(data: bytes) -> str:
    """Return UTF-8 text without a byte order mark, each line ended by a line feed. Raises ``UnicodeDecodeError``."""
    return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def read_to_end(file: BinaryIO, name: str, limit: int = SIZE_LIMIT) -> bytes:
    """Return what is left of a file that is open. Raises ``OSError``, also for more than ``limit`` bytes."""
    content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
    return content
