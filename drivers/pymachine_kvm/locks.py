"""Locks between the pymachine processes of this host, for operations that would conflict in libvirt."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pymachine.errors import DeadlineExceeded, DriverError
from pymachine_kvm.images.lock import held
from pymachine_kvm.libvirt_types import Connection


@contextmanager
def exclusive(
    connection: Connection, what: str, *, deadline: float = 60.0, waiting: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold the lock on ``what`` ("network default") of this daemon; processes of other hosts are not kept out.

    ``waiting`` is called once where somebody else holds it. The kernel releases it when its holder dies.
    Raises ``DriverError`` after ``deadline`` seconds.
    """
    name = hashlib.sha256(f"{connection.getURI()} {what}".encode()).hexdigest()[:16]
    with ExitStack() as stack:
        try:
            stack.enter_context(held(lock_folder() / f"{name}.lock", deadline=deadline, waiting=waiting))
        except DeadlineExceeded:
            raise DriverError(
                f"{what}: another pymachine process has been working on it for more than {deadline:.0f} s",
                hint="try again later",
            ) from None
        yield


def lock_folder() -> Path:
    """Return a folder of this user's for lock files, made 0700. Raises ``DriverError`` where it is not ours."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    folder = base / f"pymachine-kvm-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise DriverError(f"{folder} belongs to another user", hint=f"remove {folder}, or set XDG_RUNTIME_DIR")
    return folder
