"""Durable file writes: folders are synced, and disk errors are distinguished."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from pymachine.errors import PymachineError


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def full_disk(error: OSError, folder: Path) -> PymachineError:
    """Convert an error of the operating system while images were written."""
    where = error.filename or folder
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PymachineError(
            f"there is no space left in {folder}",
            hint="free some, or set PYMACHINE_IMAGES to a folder on a larger disk",
        )
    return PymachineError(f"{where}: {(error.strerror or str(error)).lower()}")
