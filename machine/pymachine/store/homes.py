"""Where stores live, told so that somebody else can ask later whether one still does.

A driver that leaves marks on a host writes a store's identity and its home into them. Who finds such a mark asks
here, and gets one of three answers; a folder that is only out of reach (not mounted, on another computer, closed to
us) is none that is gone.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pymachine.errors import PymachineError, StoreError
from pymachine.store.lookup import identity_at
from pymachine.store.schema import DATABASE
from pymachine.strict_json import parse_json

_MACHINE_ID = Path("/etc/machine-id")
_NEIGHBOURS = 500  # folders beside a former home that are looked at


def home_of(folder: Path) -> str:
    """Return the home of a store: this computer, the mount point that the folder is below, and the folder."""
    place = folder.resolve()
    return json.dumps([_computer(), str(_mount_of(place)), str(place)])


def lives(identity: str, home: str, *, but: Path | None = None) -> bool | None:
    """Return whether the store of this identity, last seen at ``home``, still is; None where nobody can tell.

    ``but`` is a folder that does not count: that of a store which asks whether there is another copy of it.
    """
    place, asking = _read(home), but.resolve() if but else None
    if not identity or place is None:
        return None
    try:
        there = "" if place == asking else _identity(place)
    except (OSError, PymachineError):
        return None
    others = (folder for folder in _neighbours(place) if folder != asking)
    return there == identity or any(_may_be(identity, folder) for folder in others)


def _identity(folder: Path) -> str:
    """Return the identity of the store in a folder, empty where there is none.

    Raises ``OSError`` for a folder that cannot be looked at, or is not where it was; ``StoreError`` for a store that
    cannot be read, also one that has lost its database and not its log.
    """
    folder.parent.stat()
    if _is_there(folder / DATABASE):
        return identity_at(str(folder))
    if _is_there(folder / f"{DATABASE}-wal"):
        raise StoreError("its database is missing, but its log exists")
    return ""


def _is_there(path: Path) -> bool:
    """Whether a file exists. Raises ``OSError`` where it may and cannot be looked at."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _may_be(identity: str, folder: Path) -> bool:
    """Whether the store of this identity is in a folder; one that cannot be read may be."""
    try:
        return _identity(folder) == identity
    except (OSError, PymachineError):
        return True


def _neighbours(place: Path) -> Iterator[Path]:
    """Yield the other folders beside one that hold a store: one that was renamed lives there."""
    for folder in islice(place.parent.iterdir(), _NEIGHBOURS):
        if folder != place and os.path.lexists(folder / DATABASE):
            yield folder


def _read(home: str) -> Path | None:
    """Return the folder, None for one of another computer or on a file system that is not mounted now."""
    try:
        computer, mount, folder = parse_json(home)
    except (ValueError, TypeError):
        return None
    texts = all(isinstance(text, str) for text in (computer, mount, folder))
    if not texts or computer != _computer() or not folder.startswith("/"):
        return None
    return Path(folder) if os.path.ismount(mount) else None


def _computer() -> str:
    """Return what tells this computer from others: containers of one image often share a machine-id."""
    try:
        identity = _MACHINE_ID.read_text().strip()
    except OSError:
        identity = ""
    return hashlib.sha256(f"pymachine {identity} {platform.node()}".encode()).hexdigest()[:16]


def _mount_of(place: Path) -> Path:
    return next((folder for folder in (place, *place.parents) if folder.is_mount()), Path("/"))
