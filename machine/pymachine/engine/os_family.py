"""The distribution of a host, its package family, and the location of Docker's packages for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pymachine.errors import CheckFailed


class Family(StrEnum):
    """A package family; each has its own blocks in the set-up script."""

    APT = "apt"
    DNF = "dnf"
    ZYPPER = "zypper"
    PACMAN = "pacman"
    APK = "apk"


@dataclass(frozen=True, slots=True)
class OsRelease:
    """The relevant fields of os-release(5). ``like`` are the words of ID_LIKE, nearest first.

    ``manager`` is the family of the only package manager on the host, for a distribution whose names are unknown.
    """

    id: str
    like: tuple[str, ...] = ()
    version_id: str = ""
    codename: str = ""
    ubuntu_codename: str = ""
    debian_codename: str = ""
    pretty: str = ""
    manager: Family | None = None

    @property
    def lineage(self) -> tuple[str, ...]:
        """The distribution and those from which it derives."""
        return (self.id, *self.like)


@dataclass(frozen=True, slots=True)
class DockerRepo:
    """The matching part of Docker's package repository: ``<base>/linux/<distro>``, with a suite for apt."""

    distro: str
    suite: str = ""


_FAMILIES = {
    "debian": Family.APT,
    "ubuntu": Family.APT,
    "raspbian": Family.APT,
    "linuxmint": Family.APT,
    "pop": Family.APT,
    "rhel": Family.DNF,
    "centos": Family.DNF,
    "fedora": Family.DNF,
    "amzn": Family.DNF,
    "ol": Family.DNF,
    "rocky": Family.DNF,
    "almalinux": Family.DNF,
    "suse": Family.ZYPPER,
    "opensuse": Family.ZYPPER,
    "sles": Family.ZYPPER,
    "arch": Family.PACMAN,
    "alpine": Family.APK,
}
_MANAGERS = {
    "apt-get": Family.APT,
    "dnf": Family.DNF,
    "yum": Family.DNF,
    "zypper": Family.ZYPPER,
    "pacman": Family.PACMAN,
    "apk": Family.APK,
}
SUPPORTED = "Debian, Ubuntu, RHEL, Fedora, Amazon Linux, SUSE, Arch, Alpine and their derivatives"

# Docker publishes apt packages for these two and rpm packages for the three below.
_APT_DISTROS = ("ubuntu", "debian")
_RPM_DISTROS = ("fedora", "rhel", "centos")
# /etc/debian_version of derivatives that keep their own codename to themselves.
_DEBIAN_RELEASES = {"11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"}


def parse_os_release(text: str) -> OsRelease:
    """Parse os-release(5): shell-like assignments, quoted or not. Other lines are skipped."""
    return os_release_of(dict(_assignments(text)))


def os_release_of(fields: Mapping[str, str]) -> OsRelease:
    """Return the release from fields that are already parsed; an empty one counts as none."""
    fields = {key: value for key, value in fields.items() if value}
    return OsRelease(
        id=fields.get("ID", "linux").lower(),
        like=tuple(fields.get("ID_LIKE", "").lower().split()),
        version_id=fields.get("VERSION_ID", ""),
        codename=fields.get("VERSION_CODENAME", ""),
        ubuntu_codename=fields.get("UBUNTU_CODENAME", ""),
        debian_codename=fields.get("DEBIAN_CODENAME", ""),
        pretty=fields.get("PRETTY_NAME", fields.get("NAME", "")),
    )


def with_manager(release: OsRelease, tools: Iterable[str]) -> OsRelease:
    """Return the release with the family of the package manager among these tools, if all are of one family."""
    found = {_MANAGERS[tool] for tool in tools if tool in _MANAGERS}
    return replace(release, manager=found.pop()) if len(found) == 1 else release


def _assignments(text: str) -> list[tuple[str, str]]:
    found = []
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and key.isidentifier():
            found.append((key, _unquoted(value)))
    return found


def _unquoted(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError:  # an unbalanced quote: take the text as it stands
        return value.strip("\"'")
    return words[0] if words else ""


def family_of(release: OsRelease) -> Family:
    """Return the package family by ID, else by ID_LIKE, else by the installed package manager.

    Raises ``CheckFailed`` with ID and ID_LIKE for any other.
    """
    if (family := _family(release)) is not None:
        return family
    like = " ".join(release.like) or "none"
    raise CheckFailed(
        f"cannot set up an engine on {release.pretty or release.id} (ID={release.id}, ID_LIKE={like})",
        hint=f"supported are {SUPPORTED}; or install an engine yourself and use --engine-install none",
    )


def _family(release: OsRelease) -> Family | None:
    for name in release.lineage:
        if name in _FAMILIES:
            return _FAMILIES[name]
        if name.startswith("opensuse"):
            return Family.ZYPPER
    return release.manager


def _named(release: OsRelease) -> bool:
    return any(name in _FAMILIES for name in release.lineage)


def _counts_as_rhel(release: OsRelease) -> bool:
    """Whether packages for a release of RHEL may fit a distribution that does not name its origin."""
    return release.version_id.partition(".")[0] in ("8", "9", "10")


def docker_repo(release: OsRelease, debian_version: str = "") -> DockerRepo | None:
    """Return the part of Docker's repository for this distribution, or None if Docker has none.

    A derivative uses its upstream's: Mint, Pop!_OS and similar ones name it in UBUNTU_CODENAME or DEBIAN_CODENAME,
    others only in /etc/debian_version (``debian_version``).
    """
    family = _family(release)
    if family is Family.APT:
        return _apt_repo(release, debian_version)
    if family is Family.DNF and "amzn" not in release.lineage and (_named(release) or _counts_as_rhel(release)):
        return DockerRepo(_rpm_distro(release))
    return None


def _apt_repo(release: OsRelease, debian_version: str) -> DockerRepo | None:
    upstream = "ubuntu" if release.ubuntu_codename else "debian"
    distro = next(name for name in (*release.lineage, upstream) if name in _APT_DISTROS)
    if distro == "ubuntu":
        suite = release.ubuntu_codename or (release.codename if release.id == "ubuntu" else "")
    elif release.id in ("debian", "raspbian"):
        suite = release.codename
    else:
        suite = release.debian_codename or _debian_suite(debian_version) or release.codename
    return DockerRepo(distro, suite) if suite else None


def _debian_suite(debian_version: str) -> str:
    major = debian_version.strip().split(".")[0]
    return _DEBIAN_RELEASES.get(major, major.split("/")[0] if "/" in major else "")


def _rpm_distro(release: OsRelease) -> str:
    if release.id in _RPM_DISTROS:
        return release.id
    return "fedora" if release.like == ("fedora",) and release.id != "ol" else "centos"


def distro_packages(release: OsRelease) -> tuple[str, ...]:
    """Return the distribution's own engine packages; empty if it has none (RHEL and its rebuilds)."""
    family = family_of(release)
    if family is Family.APT:
        return ("docker.io",)
    if family is Family.DNF:
        return _dnf_packages(release)
    return ("docker",)


def _dnf_packages(release: OsRelease) -> tuple[str, ...]:
    if "amzn" in release.lineage:
        return ("docker",)
    return ("moby-engine", "docker-cli") if release.id == "fedora" else ()
