"""Files that a set-up writes, and reasons why they cannot be replaced. Pure.

A file is replaced in one step, at the target of links, and the new file keeps owner, group, mode, ACL, label and
flags. If that is not possible, the host is refused before anything is touched. The survey only looks
(``engine/_obstacle.sh.j2``) and tries nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pymachine.errors import CheckFailed

STATE = "/var/lib/pymachine"
TLS_FOLDER = "/etc/docker/pymachine"
MANIFEST = f"{STATE}/manifest.json"
CERTIFICATES = tuple(f"{TLS_FOLDER}/{name}" for name in ("ca.pem", "server.pem", "server-key.pem"))
MACHINE_DROP_IN = "10-machine.conf"  # docker-machine's; set aside in STATE
ETC_HOSTS = "/etc/hosts"
ETC_HOSTNAME = "/etc/hostname"
CONF_D = "/etc/conf.d/docker"
APT_FILES = (
    "/etc/apt/sources.list.d/pymachine-docker.sources",
    "/etc/apt/preferences.d/pymachine-docker",
    "/etc/apt/keyrings/pymachine-docker.asc",
)
RPM_FILES = ("/etc/yum.repos.d/pymachine-docker-ce.repo",)
# What the survey looks at, beside daemon.json and the drop-in, whose places the host decides on.
TARGETS = (MANIFEST, *CERTIFICATES, ETC_HOSTS, ETC_HOSTNAME)


class Reason(StrEnum):
    """Why a file cannot be replaced, as the survey names it."""

    DANGLING = "dangling"
    NO_FILE = "no-file"
    NO_FOLDER = "no-folder"
    MOUNTED = "mounted"
    HARD_LINKED = "hard-linked"
    IMMUTABLE = "immutable"
    READ_ONLY = "read-only"
    DENIED = "denied"


_IN_WORDS: Mapping[Reason, str] = {
    Reason.DANGLING: "is a link that leads to nothing",
    Reason.NO_FILE: "is not a regular file",
    Reason.NO_FOLDER: "is not a folder",
    Reason.MOUNTED: "is a mount point, so it cannot be replaced",
    Reason.HARD_LINKED: "has hard links that would keep the old content",
    Reason.IMMUTABLE: "is immutable or append-only (chattr)",
    Reason.READ_ONLY: "is on a file system that is read-only",
    Reason.DENIED: "cannot be written to even by root; it may be immutable, or its file system denies it",
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A reason why a file cannot be replaced; ``where`` is the file itself or the one that is in the way."""

    reason: Reason
    where: str


def drop_in_of(unit: str) -> str:
    """Return the path of pymachine's drop-in for a systemd unit, Docker's if no unit is known yet."""
    return f"/etc/systemd/system/{unit or 'docker.service'}.d/zz-pymachine.conf"


def machine_drop_in_of(unit: str) -> str:
    """Return the path of docker-machine's drop-in for a systemd unit, Docker's if no unit is known yet."""
    return f"/etc/systemd/system/{unit or 'docker.service'}.d/{MACHINE_DROP_IN}"


def check_replaceable(obstacles: Mapping[str, Obstacle], paths: Iterable[str]) -> None:
    """Refuse a host on which one of these files cannot be replaced. Raises ``CheckFailed`` with all of them."""
    found = [_sentence(path, obstacles[path]) for path in dict.fromkeys(paths) if path in obstacles]
    if not found:
        return
    renames = {ETC_HOSTS, ETC_HOSTNAME} & set(paths) & obstacles.keys()
    raise CheckFailed(
        "existing files cannot be backed up:" + "".join(f"\n  {sentence}" for sentence in found),
        hint="nothing was changed; make these paths writable on the host"
        + (", or keep its name with --keep-hostname" if renames else ""),
    )


def _sentence(path: str, obstacle: Obstacle) -> str:
    words = _IN_WORDS[obstacle.reason]
    return f"{path} {words}" if obstacle.where == path else f"{path}: {obstacle.where} {words}"
