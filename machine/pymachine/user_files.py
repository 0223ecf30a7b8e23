"""Replaces files of the user: in one step, where links lead, with the owner and mode that they have."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pymachine.errors import CheckFailed, PymachineError, UsageFault

SIZE_LIMIT = 4 << 20  # bytes
PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class UserFile:
    """A file as it was read. ``path`` is where links lead; ``found`` is None for one that is not there yet."""

    path: Path
    content: bytes
    found: os.stat_result | None


def read_user_file(path: Path, limit: int = SIZE_LIMIT) -> UserFile:
    """Return a file of the user of at most ``limit`` bytes, empty if there is none.

    Raises ``UsageFault`` for what is not a readable file of that size.
    """
    real = Path(os.path.realpath(path))
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return UserFile(real, b"", None)
    except OSError as error:
        raise UsageFault(f"{path} cannot be read: {_reason(error)}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UsageFault(f"{path} is not a file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise UsageFault(f"{path} has more than {limit >> 20} MiB")
    return UserFile(real, content, found)


def replace_user_file(file: UserFile, content: bytes) -> None:
    """Give the file new content in one step; a new one gets mode 0600, and its missing folders 0700.

    Raises ``CheckFailed`` for a file that has several names or was changed since it was read, ``PymachineError`` if
    it cannot be written.
    """
    if file.found is not None and file.found.st_nlink > 1:
        raise CheckFailed(
            f"{file.path} has {file.found.st_nlink} names (hard links), and replacing it would separate them",
            hint="name another file, and include it from this one",
        )
    try:
        _make_folders(file.path.parent)
        _replace(file, content)
    except OSError as error:
        raise PymachineError(f"{error.filename or file.path} cannot be written: {_reason(error)}") from None


def _make_folders(folder: Path) -> None:
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def _replace(file: UserFile, content: bytes) -> None:
    draft = file.path.with_name(f".{file.path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as out:
            _take_over(descriptor, file.found)
            out.write(content)
            out.flush()
            os.fsync(descriptor)
        _check_unchanged(file)
        draft.replace(file.path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    _sync(file.path.parent)


def _take_over(descriptor: int, found: os.stat_result | None) -> None:
    """Give the draft the owner and mode of the file that it replaces."""
    if found is None:
        return
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (found.st_uid, found.st_gid):
        os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(found.st_mode))


def _check_unchanged(file: UserFile) -> None:
    try:
        now: os.stat_result | None = file.path.stat()
    except FileNotFoundError:
        now = None
    if _identity(now) != _identity(file.found):
        raise CheckFailed(f"{file.path} was changed in the meantime", hint="run the command again")


def _identity(found: os.stat_result | None) -> tuple[int, ...] | None:
    return None if found is None else (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
