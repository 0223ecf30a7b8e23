"""The location of a store, in a form that tells another store later whether it still exists.

A driver that marks resources on a host writes a store's identity and its home into the mark. Whoever finds the mark
asks here, and gets yes, no or unknown; a folder that is only out of reach (not mounted, on another computer, not
readable) is not missing.
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
    """Return the home of a store: this computer, the mount point of the folder, and the folder."""
    place = folder.resolve()
    return json.dumps([_computer(), str(_mount_of(place)), str(place)])


def lives(identity: str, home: str, *, but: Path | None = None) -> bool | None:
    """Return whether the store of this identity, last seen at ``home``, still exists; None if unknown.

    ``but`` is a folder that does not count: that of the store which looks for another copy of itself.
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
    """Return the identity of the store in a folder, empty if there is none.

    Raises ``OSError`` for a folder that cannot be read, or has moved; ``StoreError`` for a store that cannot be read,
    also one that has lost its database but not its log.
    """
    folder.parent.stat()
    if _is_there(folder / DATABASE):
        return identity_at(str(folder))
    if _is_there(folder / f"{DATABASE}-wal"):
        raise StoreError("its database is missing, but its log exists")
    return ""


def _is_there(path: Path) -> bool:
    """Whether a file exists. Raises ``OSError`` if that cannot be determined."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _may_be(identity: str, folder: Path) -> bool:
    """Whether the store of this identity may be in a folder; an unreadable one counts."""
    try:
        return _identity(folder) == identity
    except (OSError, PymachineError):
        return True


def _neighbours(place: Path) -> Iterator[Path]:
    """Yield the other folders with a store beside one, because a renamed store is there."""
    for folder in islice(place.parent.iterdir(), _NEIGHBOURS):
        if folder != place and os.path.lexists(folder / DATABASE):
            yield folder


def _read(home: str) -> Path | None:
    """Return the folder, None if it is on another computer or on a file system that is not mounted."""
    try:
        computer, mount, folder = parse_json(home)
    except (ValueError, TypeError):
        return None
    texts = all(isinstance(text, str) for text in (computer, mount, folder))
    if not texts or computer != _computer() or not folder.startswith("/"):
        return None
    return Path(folder) if os.path.ismount(mount) else None


def _computer() -> str:
    """Return an identifier of this computer; containers of one image often share a machine-id."""
    try:
        identity = _MACHINE_ID.read_text().strip()
    except OSError:
        identity = ""
    return hashlib.sha256(f"pymachine {identity} {platform.node()}".encode()).hexdigest()[:16]


def _mount_of(place: Path) -> Path:
    return next((folder for folder in (place, *place.parents) if folder.is_mount()), Path("/"))
