"""Whether a file system supports SQLite's write-ahead log."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

MOUNTS = Path("/proc/self/mountinfo")

# The log needs memory shared by all processes at work; across hosts there is none, whatever the file system says
# (https://sqlite.org/wal.html#overview).
_NETWORKED = frozenset((
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "virtiofs",
))  # fmt: skip


def takes_wal(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Whether databases in ``folder`` can use a write-ahead log. Writes a test database there."""
    return _type_of(folder, mounts) not in _NETWORKED and _survives_a_trial(folder)


def file_system(path: str, mountinfo: str) -> str:
    """Return the type of the file system that holds ``path``, by a text as of proc_pid_mountinfo(5)."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode().decode("unicode_escape") if before.count(" ") >= 4 else ""
        if point and _is_within(path, point) and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind


def _is_within(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def _type_of(folder: Path, mounts: Path) -> str:
    try:
        text = mounts.read_text(errors="replace")
    except OSError:  # not Linux
        return ""
    return file_system(os.path.realpath(folder), text)


def _survives_a_trial(folder: Path) -> bool:
    """Whether a write succeeds: some file systems accept the mode and fail at the first write."""
    with TemporaryDirectory(prefix=".probe-", dir=folder) as scratch:
        try:
            with closing(sqlite3.connect(f"{scratch}/probe.db", isolation_level=None)) as connection:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.execute("CREATE TABLE probe (value)")
        except sqlite3.Error:
            return False
    return bool(mode == "wal")
