"""The files of a docker-machine store: a folder, or a zip that machine-share made. Read, never written."""

from __future__ import annotations

import errno
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from pymachine.errors import UsageFault

SIZE_LIMIT = 1_048_576  # bytes of one file; a config.json has some four thousand
ENTRY_LIMIT = 1_000  # files in a zip
CONFIG = "config.json"
MACHINES = "machines"
ORIGIN = "imported:"  # with a machine's id: the note of where it was imported from


class StoreFiles(Protocol):
    """The files of a store. ``place`` says where it is."""

    @property
    def place(self) -> str:
        """Where the store is, for messages."""

    def machines(self) -> list[str]:
        """Return the names of the machines, in order."""

    def read(self, machine: str, path: str) -> bytes | None:
        """Return the content of a file that a machine's configuration names, None if it is not there.

        ``path`` may be one of another computer. Raises ``OSError`` and ``ValueError`` for what cannot be read as a
        file of a sensible size.
        """


def open_store(path: Path) -> StoreFiles:
    """Return the files of a store, or of a zip. Raises ``UsageFault`` for what is neither."""
    return SharedZip(path) if path.is_file() and zipfile.is_zipfile(path) else open_folder(path)


def open_folder(path: Path) -> StoreFolder:
    """Return the files of a store in a folder. Raises ``UsageFault`` for what is not one."""
    if not (path / MACHINES).is_dir():
        raise UsageFault(
            f"{path} is not a docker-machine store: it has no folder `{MACHINES}`", hint="give its folder"
        )
    return StoreFolder(path)


def config_of(files: StoreFiles, machine: str) -> bytes | None:
    """Return the content of a machine's config.json. Raises as ``StoreFiles.read``."""
    return files.read(machine, f"{MACHINES}/{machine}/{CONFIG}")


class StoreFolder:
    """A store in a folder, which may have been another one when its paths were written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder)

    def machines(self) -> list[str]:
        """Return the names of the folders in ``machines``, those with a dot in front left out as docker-machine does.

        Raises ``UsageFault`` if the folder cannot be read.
        """
        try:
            return sorted(
                each.name for each in (self._folder / MACHINES).iterdir() if each.is_dir() and each.name[0] != "."
            )
        except OSError as error:
            raise UsageFault(f"{error.filename} cannot be read: {(error.strerror or str(error)).lower()}") from None

    def read(self, machine: str, path: str) -> bytes | None:
        """Read the file at the same place in this folder, else the very file that is named."""
        inside = _inside(path, machine)
        if inside is not None and (found := _content(self._folder / inside)) is not None:
            return found
        return _content(Path(path)) if os.path.isabs(path) else None  # noqa: PTH117 - a text of another system


class SharedZip:
    """One machine, as machine-share packs it: the files of its folder, and beside them ``certs``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        """The file."""
        return str(self._path)

    def machines(self) -> list[str]:
        """Return the one name, which is the file's."""
        return [self._path.stem]

    def read(self, machine: str, path: str) -> bytes | None:
        """Read a file of the machine's folder, or of ``certs``, by its name."""
        inside = _inside(path, machine)
        if inside is None:
            return None
        names = {str(inside.relative_to(f"{MACHINES}/{machine}")) if inside.is_relative_to(MACHINES) else str(inside)}
        names.add(f"certs/{inside.name}" if inside.parts[0] == "certs" else inside.name)
        with self._opened() as archive:
            for entry in archive.infolist()[:ENTRY_LIMIT]:
                if entry.filename in names and not entry.is_dir():
                    return _bounded(archive.open(entry).read(SIZE_LIMIT + 1), entry.filename)
        return None

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self._path) as archive:
                yield archive
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:  # damaged, of a new kind, encrypted
            raise ValueError(f"{self._path} cannot be read: {error}") from error


def _inside(path: str, machine: str) -> PurePosixPath | None:
    """Return where in a store a path leads that was written on some computer; None if it leads elsewhere."""
    plain = path.replace("\\", "/")
    found = re.search(rf"(?:^|/)({MACHINES}/{re.escape(machine)}|certs)/([^/].*)$", plain)
    if found is None or ".." in found[2].split("/"):
        return None
    return PurePosixPath(found[1], found[2])


def _content(path: Path) -> bytes | None:
    """Return a file's bytes, None if there is none. A pipe or device is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        return _bounded(file.read(SIZE_LIMIT + 1), str(path))


def _bounded(content: bytes, where: str) -> bytes:
    if len(content) > SIZE_LIMIT:
        raise ValueError(f"{where} has more than {SIZE_LIMIT} bytes")
    return content
