"""What the outer machine must have installed, and how to get it there."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
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
# Virtual machines: libvirt with its QEMU driver, emulators, and the DHCP server of its networks.
VM_PROGRAMS = {
    "libvirtd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "dnsmasq": "dnsmasq-base",
    "xmllint": "libxml2-utils",
    "zstd": "zstd",  # to look into an initrd
}
# What a machine on this computer needs besides: an image is built for it, and libvirt's binding is compiled.
MACHINE_PROGRAMS = {
    **{
        program: package
        for program, package in PROGRAMS.items()
        if program in ("mmdebstrap", "ip", "iptables", "ssh")
    },
    **{program: package for program, package in VM_PROGRAMS.items() if program != "xmllint"},
    "mke2fs": "e2fsprogs",
    "dpkg-deb": "dpkg",
}
QEMU_DRIVER = "libvirt-daemon-driver-qemu"
UEFI_FIRMWARE = "ovmf"
# What the tests that need no host run against: a real sshd on loopback, and every shell that may read our output.
TEST_PROGRAMS = {
    "sshd": "openssh-server",
    "sudo": "sudo",
    "nologin": "login",
    "tcsh": "tcsh",
    "fish": "fish",
    "zsh": "zsh",
    "busybox": "busybox",
    "openssl": "openssl",
    "shellcheck": "shellcheck",
    "go": "golang-go",  # what our templates are compared with
    "cloud-init": "cloud-init",  # for its schema; without a data source it does nothing at boot
}
# What the Python packages are built with: libvirt-python has no wheels.
BUILD_PROGRAMS = {"gcc": "gcc", "pkg-config": "pkg-config"}
BUILD_FILES = {
    "/usr/include/libvirt/libvirt.h": "libvirt-dev",
    "/usr/include/stdlib.h": "libc6-dev",
    f"{sysconfig.get_path('include')}/Python.h": "python3-dev",
}
NO_CLOUD_INIT = Path("/etc/cloud/cloud-init.disabled")
POLICY = Path("/usr/sbin/policy-rc.d")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES = (*PROGRAMS.values(), "debian-archive-keyring", "ca-certificates")

# elogind conflicts with systemd-container; where it is installed it has to go, in the same transaction.
WITHOUT_ELOGIND = ("libelogind0-", "elogind-", "libpam-elogind-")


def missing_packages(*, tests: bool = False, build: bool = False) -> list[str]:
    """Name what is not installed, without asking the package manager.

    With ``tests`` also what all tests need, with ``build`` what the Python packages are built with.
    """
    wanted = {**PROGRAMS, **VM_PROGRAMS, **(TEST_PROGRAMS if tests else {})}
    absent = _absent(wanted, build=build)
    if not Path("/usr/share/OVMF").is_dir():
        absent.append(UEFI_FIRMWARE)
    return absent


def missing_for_machines() -> list[str]:
    """Name what a first virtual machine lacks here: nothing of the test hosts, nothing of the tests."""
    return _absent(MACHINE_PROGRAMS, build=True)


def _absent(programs: Mapping[str, str], *, build: bool) -> list[str]:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    wanted = {**programs, **(BUILD_PROGRAMS if build else {})}
    absent = [package for program, package in wanted.items() if not shutil.which(program, path=path)]
    if not KEYRING.exists():
        absent.append("debian-archive-keyring")
    if not _qemu_driver_is_there():
        absent.append(QEMU_DRIVER)
    if build:
        absent += [package for path, package in BUILD_FILES.items() if not Path(path).exists()]
    return absent


def _qemu_driver_is_there() -> bool:
    return any(Path("/usr/lib").glob("*/libvirt/connection-driver/libvirt_driver_qemu.so"))


def require_root() -> None:
    """Refuse early: containers, bridges and firewall rules are root's."""
    if os.geteuid() != 0:
        raise LabError("the lab boots real hosts and needs root: run it as root (sudo -E make check)")


def ensure_packages(*, tests: bool = False, build: bool = False) -> list[str]:
    """Install what is missing and return its names; does nothing, quickly, when all is there."""
    return ensure(partial(missing_packages, tests=tests, build=build))


def ensure(missing: Callable[[], list[str]]) -> list[str]:
    """Install what ``missing`` names, ask it again, and return the names."""
    absent = missing()
    if not absent:
        return []
    hint = f"apt-get install {' '.join(absent)}"
    if os.geteuid() != 0:
        raise LabError(f"the lab needs packages that are not installed; as root: {hint}")
    if not shutil.which("apt-get"):
        raise LabError(f"the lab needs {', '.join(absent)} and knows only apt-get to install them")
    print(f"lab: installing {', '.join(absent)}", file=sys.stderr, flush=True)
    _install(absent)
    if left := missing():
        raise LabError(f"still not there after installing: {', '.join(left)}; try: {hint}")
    return absent


def _install(packages: list[str]) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-q"], timeout=300, env=env, check=False)
    installed = run(["dpkg-query", "-W", "-f", "${db:Status-Status}", "libelogind0"], check=False)
    away = WITHOUT_ELOGIND if installed.stdout == "installed" else ()
    if "cloud-init" in packages:
        # Here for its schema alone: it must not take this computer for a new one at the next boot.
        NO_CLOUD_INIT.parent.mkdir(exist_ok=True)
        NO_CLOUD_INIT.touch()
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends"]
    with _nothing_started():
        run([*command, *packages, *away], timeout=900, env=env)


@contextmanager
def _nothing_started() -> Iterator[None]:
    """Keep the packages' services (sshd, say) from being started on somebody's computer: Debian's own way."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
