"""The contents of a built image: packages, files, and the scripts that run in the tree before it is sealed."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from importlib.resources import files

from pymachine.errors import NotSupported, UsageFault

GIB = 1 << 30
DEFAULT_SIZE = 3 * GIB
LEAST_SIZE = 2 * GIB

SYSTEM = (
    "apparmor",
    "ca-certificates",
    "cloud-guest-utils",
    "cloud-init",
    "curl",
    "dbus",
    "e2fsprogs",
    "gpg",
    "grub-pc",
    "iproute2",
    "iptables",
    "iputils-ping",
    "kmod",
    "linux-image-cloud-amd64",
    "openssh-server",
    "procps",
    "python3-minimal",
    "qemu-guest-agent",
    "sudo",
    "systemd-resolved",
    "systemd-sysv",
    "udev",
    "xz-utils",
    "zstd",
)

GRUB_MODULES = ("biosdisk", "ext2", "part_msdos")


@dataclass(frozen=True, slots=True)
class Release:
    """A release of Debian that can be built. ``engine`` are the packages of its engine."""

    name: str
    suite: str
    engine: tuple[str, ...]


RELEASES = {
    "debian-13": Release("debian-13", "trixie", ("docker.io", "docker-cli")),
    "debian-12": Release("debian-12", "bookworm", ("docker.io",)),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image to build: ``size`` of its disk in bytes, ``uuid`` of its file system, ``mirror`` of the archive."""

    release: Release
    uuid: str
    with_engine: bool = True
    size: int = DEFAULT_SIZE
    mirror: str | None = None

    @property
    def default_name(self) -> str:
        """The default name of the image; without an engine it is the one of its alias."""
        return f"{self.release.name}-docker" if self.with_engine else self.release.name

    @property
    def disk_number(self) -> int:
        """The disk's signature (32 bit), never 0."""
        return int(self.uuid[:8], 16) or 1


def release(name: str, arch: str) -> Release:
    """Return the release of that name. Raises ``UsageFault``, or ``NotSupported`` for an architecture but x86_64."""
    if name not in RELEASES:
        raise UsageFault(f"{name!r} cannot be built", hint=f"available: {', '.join(RELEASES)}")
    if arch != "x86_64":
        raise NotSupported(
            f"images for {arch} cannot be built yet",
            hint=f"`pymachine image pull {name} --arch {arch}` downloads the vendor's",
        )
    return RELEASES[name]


def check_size(size: int) -> int:
    """Return a disk size in bytes that an image can have, in whole MiB. Raises ``UsageFault``."""
    if size < LEAST_SIZE:
        raise UsageFault(
            f"a disk of {size >> 20} MiB is too small for a Debian with an engine",
            hint="give at least 2G with --size",
        )
    return size >> 20 << 20


def overlay(recipe: Recipe) -> bytes:
    """Return a tar of the files that are laid over the tree before packages are installed."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, text in sorted(_overlay_files(recipe).items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), 0o755 if text.startswith("#!") else 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def script(name: str) -> str:
    """Return one of the sh scripts that a build runs."""
    return (files("pymachine_kvm.images.debian") / "scripts" / name).read_text()


def _overlay_files(recipe: Recipe) -> dict[str, str]:
    kept = files("pymachine_kvm.images.debian") / "overlay"
    # What is there is not made: keys that are thrown away when the tree is sealed would take seconds.
    found = {f"etc/ssh/ssh_host_{kind}_key": "" for kind in ("rsa", "ecdsa", "ed25519")}
    for name, path in OVERLAY.items():
        text = (kept / name).read_text()
        found[path] = text.replace("@UUID@", recipe.uuid)
    return found


_INITRD = "etc/initramfs-tools"
_UNITS = "etc/systemd/system"

OVERLAY = {
    "fstab": "etc/fstab",
    "hosts": "etc/hosts",
    "cloud.cfg": "etc/cloud/cloud.cfg.d/90_pymachine.cfg",
    "ds-identify.cfg": "etc/cloud/ds-identify.cfg",
    "dpkg.cfg": "etc/dpkg/dpkg.cfg.d/pymachine",
    "grub.cfg": "etc/default/grub.d/pymachine.cfg",
    "locale": "etc/default/locale",
    "kernel-img.conf": "etc/kernel-img.conf",
    "initramfs.conf": f"{_INITRD}/conf.d/pymachine.conf",
    "initramfs-modules": f"{_INITRD}/modules",
    "initramfs-hook.sh": f"{_INITRD}/hooks/pymachine",
    "initramfs-drivers.sh": f"{_INITRD}/scripts/init-top/pymachine",
    "initramfs-writable.sh": f"{_INITRD}/scripts/local-bottom/pymachine",
    "initramfs-devices.sh": f"{_INITRD}/scripts/init-bottom/pymachine",
    "wait-online.conf": f"{_UNITS}/systemd-networkd-wait-online.service.d/pymachine.conf",
    "seed.sh": "usr/lib/pymachine/seed",
    "seed.service": f"{_UNITS}/pymachine-seed.service",
    "cloud-init.sh": "usr/lib/pymachine/cloud-init",
    "cloud-init.service": f"{_UNITS}/pymachine-cloud-init.service",
    "modules.service": f"{_UNITS}/pymachine-modules.service",
    "grow.sh": "usr/lib/pymachine/grow",
    "grow.service": f"{_UNITS}/pymachine-grow.service",
}
