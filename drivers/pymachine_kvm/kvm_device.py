"""The device file of hardware virtualisation on this host, and whether the account of QEMU may open it."""

from __future__ import annotations

import grp
import os
import pwd
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KVM_NODE = Path("/dev/kvm")
QEMU_CONF = Path("/etc/libvirt/qemu.conf")
QEMU_USERS = ("libvirt-qemu", "qemu")  # Debian and Ubuntu; Fedora, SUSE and Arch
OPEN_THE_NODE = "sudo chgrp kvm /dev/kvm && sudo chmod 0660 /dev/kvm"


@dataclass(frozen=True, slots=True)
class QemuAccount:
    """The account that runs QEMU: user, and all its groups."""

    name: str
    uid: int
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """A device file, and who must open it; ``user`` None where that is not known."""

    mode: int
    uid: int
    gid: int
    user: QemuAccount | None

    @property
    def openable(self) -> bool:
        """Whether the user may read and write it; an unknown user counts as yes."""
        if self.user is None or self.user.uid == 0:
            return True
        shift = 6 if self.uid == self.user.uid else 3 if self.gid in self.user.groups else 0
        return (self.mode >> shift) & 0o6 == 0o6

    @property
    def fault(self) -> str:
        """Why it cannot be used, empty if it can."""
        return (
            ""
            if self.openable or self.user is None
            else f"{KVM_NODE} cannot be opened by QEMU's user {self.user.name}"
        )

    @property
    def mend(self) -> str:
        """The command that gives the user access, empty if it has access."""
        if self.openable or self.user is None:
            return ""
        if self.mode & 0o060 != 0o060 or self.gid == 0:
            return OPEN_THE_NODE
        again = ", then log in again" if self.user.uid == os.geteuid() else ""
        return f"sudo usermod -aG {_group_name(self.gid)} {self.user.name}{again}"


def kvm_node(*, session: bool, path: Path = KVM_NODE) -> DeviceFile | None:
    """Return the device of this host, None where there is none. QEMU of a user's own daemon runs as that user."""
    try:
        found = path.stat()
    except OSError:
        return None
    user = account(os.geteuid()) if session else qemu_account(text_of(QEMU_CONF))
    return DeviceFile(found.st_mode, found.st_uid, found.st_gid, user)


def qemu_account(conf: str) -> QemuAccount | None:
    """Return whom the system daemon runs QEMU as, by the text of its qemu.conf; None if that cannot be told.

    The file is root's on many systems; the packages' own user is then the best guess.
    """
    user = _setting(conf, "user")
    found = next(filter(None, map(account, (user,) if user else QEMU_USERS)), None)
    group = _setting(conf, "group")
    if found is None or not group:
        return found
    return QemuAccount(found.name, found.uid, found.groups | _group(group))


def account(user: str | int) -> QemuAccount | None:
    """Return an account by name or number, which qemu.conf writes as ``+64055``; None where there is none."""
    try:
        entry = pwd.getpwuid(int(user)) if re.fullmatch(r"\+?\d+", str(user)) else pwd.getpwnam(str(user))
    except KeyError:
        return None
    own = entry.pw_uid == os.geteuid()
    groups = os.getgroups() if own else os.getgrouplist(entry.pw_name, entry.pw_gid)
    return QemuAccount(entry.pw_name, entry.pw_uid, frozenset({entry.pw_gid, *groups}))


def text_of(path: Path) -> str:
    """Return the text of a file, empty where it is missing or not for us to read."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _group(name: str) -> frozenset[int]:
    if re.fullmatch(r"\+?\d+", name):
        return frozenset({int(name)})
    with suppress(KeyError):
        return frozenset({grp.getgrnam(name).gr_gid})
    return frozenset()


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _setting(conf: str, name: str) -> str:
    found = re.search(rf'^\s*{name}\s*=\s*"([^"]*)"', conf, re.MULTILINE)
    return found[1] if found else ""
