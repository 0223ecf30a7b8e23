"""The parent folders of a pool, and whether the account of QEMU may enter them.

libvirt gives disks to that account before a guest starts (its dynamic ownership), and does not change folders.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path

from pymachine_kvm.kvm_device import QemuAccount

DEADLINE = 5.0
_ACL = "system.posix_acl_access"
# Prints the first folder that its user may not enter; one that is not there is yet to be made.
_ASK = 'for d do [ ! -e "$d" ] || [ -x "$d" ] || { printf %s "$d"; exit 0; }; done'


class Unasked(Enum):
    """The answer where nobody could be asked."""

    UNASKED = "unasked"


UNASKED = Unasked.UNASKED


def closed_to(account: QemuAccount | None, folder: str) -> Path | Unasked | None:
    """Return the first folder on the way into ``folder`` that an account may not enter, None where it gets in.

    root asks as that account. Others read modes, and do not know where there are ACLs or what they may not look at.
    """
    if account is None or not os.path.isabs(folder):  # noqa: PTH117 - a text of libvirt's
        return UNASKED
    if account.uid == 0:
        return None
    way = list(dict.fromkeys((*_way(Path(folder)), *_way(Path(os.path.realpath(folder))))))
    if account.uid == os.geteuid():
        return next((step for step in way if step.exists() and not os.access(step, os.X_OK)), None)
    return _asked_as(account, way) if os.geteuid() == 0 else _by_modes(account, way)


def nearest(folder: str) -> Path | None:
    """Return a folder, or the nearest one above it that is there; None where none can be looked at."""
    return next((step for step in reversed(list(_way(Path(folder)))) if _is_there(step)), None)


def _way(folder: Path) -> Iterator[Path]:
    yield from reversed(folder.parents)
    yield folder


def _is_there(folder: Path) -> bool:
    try:
        return folder.exists()
    except OSError:
        return False


def _asked_as(account: QemuAccount, way: Sequence[Path]) -> Path | Unasked | None:
    """Have a process of the account's own look: the kernel knows of ACLs, mounts and namespaces."""
    try:
        asked = subprocess.run(
            ("/bin/sh", "-c", _ASK, "sh", *map(str, way)),
            capture_output=True,
            timeout=DEADLINE,
            check=True,
            cwd="/",
            user=account.uid,
            group=pwd.getpwuid(account.uid).pw_gid,
            extra_groups=sorted(account.groups),
        )
    except (OSError, KeyError, subprocess.SubprocessError):
        return UNASKED
    return Path(os.fsdecode(asked.stdout)) if asked.stdout else None


def _by_modes(account: QemuAccount, way: Sequence[Path]) -> Path | Unasked | None:
    for step in way:
        try:
            found = step.stat()
            has_acl = _ACL in os.listxattr(step)
        except FileNotFoundError:
            continue
        except OSError:
            return UNASKED
        if has_acl:
            return UNASKED
        shift = 6 if found.st_uid == account.uid else 3 if found.st_gid in account.groups else 0
        if not (found.st_mode >> shift) & 0o1:
            return step
    return None
