"""The folder of the store: private to its owner, or refused."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from pymachine.errors import StoreError, StoreUnwritable
from pymachine.store.errors import translated
from pymachine.store.schema import DATABASE

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def prepare_folder(folder: Path) -> Path:
    """Create the folder with mode 0700, and return its absolute path.

    The mode of an own folder that is empty or already a store is restricted silently. Any other folder that others
    may enter (a home folder, ``/tmp``) is refused, because changing its mode would break something else. Raises
    ``StoreError``.
    """
    folder = folder.absolute()
    with translated(str(folder)):
        make_private(folder)
        _keep_others_out(folder)
    if not os.access(folder, os.W_OK | os.X_OK) and not (folder / DATABASE).exists():
        raise StoreUnwritable(
            f"{folder} cannot be written",
            hint="make it writable, or choose another folder with --storage-path or MACHINE_STORAGE_PATH",
        )
    return folder


def make_private(folder: Path) -> None:
    """Create a folder and its missing parents, each with mode 0700 whatever the umask. Raises ``OSError``."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
    if not folder.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))


def _keep_others_out(folder: Path) -> None:
    found = folder.stat()
    if not found.st_mode & _OTHERS:
        return
    if not _is_ours_alone(folder, found):
        raise StoreError(
            f"{folder} is open to other users, but keys are kept in it",
            hint=f"choose a folder of its own, or `chmod 700 {folder}`",
        )
    try:
        folder.chmod(0o700)
    except OSError as error:
        if error.errno != errno.EROFS:  # it can still be read
            raise


def _is_ours_alone(folder: Path, found: os.stat_result) -> bool:
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
        return False
    return (folder / DATABASE).exists() or not any(folder.iterdir())
