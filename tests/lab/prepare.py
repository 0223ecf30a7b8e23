"""What the outer machine must have installed, and how to get it there."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from lab.sh import LabError, run

# program that proves the package is there -> package
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh": "openssh-client",
    "nsenter": "util-linux",
    "mkfs.ext4": "e2fsprogs",
    "gpg": "gpg",
    "gpg-agent": "gpg-agent",
    "dpkg-deb": "dpkg",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES = (*PROGRAMS.values(), "debian-archive-keyring", "ca-certificates")

# elogind conflicts with systemd-container; where it is installed it has to go, in the same transaction.
WITHOUT_ELOGIND = ("libelogind0-", "elogind-", "libpam-elogind-")


def missing_packages() -> list[str]:
    """Name what is not installed, without asking the package manager."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    absent = [package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)]
    if not KEYRING.exists():
        absent.append("debian-archive-keyring")
    return absent


def require_root() -> None:
    """Refuse early: containers, bridges and firewall rules are root's."""
    if os.geteuid() != 0:
        raise LabError("the lab boots real hosts and needs root: run it as root (sudo -E make check)")


def ensure_packages() -> list[str]:
    """Install what is missing and return its names; does nothing, quickly, when all is there."""
    absent = missing_packages()
    if not absent:
        return []
    hint = f"apt-get install {' '.join(absent)}"
    if os.geteuid() != 0:
        raise LabError(f"the lab needs packages that are not installed; as root: {hint}")
    if not shutil.which("apt-get"):
        raise LabError(f"the lab needs {', '.join(absent)} and knows only apt-get to install them")
    print(f"lab: installing {', '.join(absent)}", file=sys.stderr, flush=True)
    _install(absent)
    if left := missing_packages():
        raise LabError(f"still not there after installing: {', '.join(left)}; try: {hint}")
    return absent


def _install(packages: list[str]) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-q"], timeout=300, env=env, check=False)
    installed = run(["dpkg-query", "-W", "-f", "${db:Status-Status}", "libelogind0"], check=False)
    away = WITHOUT_ELOGIND if installed.stdout == "installed" else ()
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends"]
    run([*command, *packages, *away], timeout=900, env=env)
