"""Aliases of vendors' cloud images: the address of each image and of its checksums."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from pymachine.errors import NotSupported, UsageFault

ARCHES = ("x86_64", "aarch64")
# The architecture in Debian's words, in the kernel's, and as Amazon's folders have it.
_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
_KERNEL = {"x86_64": "x86_64", "aarch64": "aarch64"}
_AMAZON = {"x86_64": "x86_64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class ImageVendor:
    """One alias. ``{arch}`` in ``folder`` and ``file`` is the architecture, named as in ``arches``.

    ``folder`` may be a mapping from architectures to folders. ``file`` may be a pattern for names that change with
    each version. ``checksums`` is the file beside the image that lists digests, ``algorithm`` their algorithm.
    ``os_release`` is assumed for the image until a machine reports its own.
    """

    folder: str | Mapping[str, str]
    file: str
    checksums: str
    algorithm: str
    os_release: str
    arches: Mapping[str, str]

    def file_name(self, arch: str) -> str:
        """Return the name, or pattern of names, of the image."""
        return self.file.replace("{arch}", self.arches[arch])

    def url(self, arch: str, mirror: str | None, file: str) -> str:
        """Return the URL of a file beside the checksums; a mirror has the same paths as the vendor's host."""
        folder = self.folder if isinstance(self.folder, str) else self.folder[arch]
        folder = folder.replace("{arch}", self.arches[arch])
        base = folder if mirror is None else f"{mirror.rstrip('/')}{urlsplit(folder).path}"
        return f"{base}/{quote(file)}"

    def checksums_url(self, arch: str, mirror: str | None) -> str:
        """Return the address of the list of checksums."""
        return self.url(arch, mirror, self.checksums)


def _os_release(identity: str, version: str, pretty: str, codename: str = "", like: str = "") -> str:
    lines = [f'PRETTY_NAME="{pretty}"', f"ID={identity}", f'VERSION_ID="{version}"']
    lines += [f"VERSION_CODENAME={codename}"] if codename else []
    lines += [f'ID_LIKE="{like}"'] if like else []
    return "".join(f"{line}\n" for line in lines)


def _debian(number: str, codename: str) -> ImageVendor:
    return ImageVendor(
        folder=f"https://cloud.debian.org/images/cloud/{codename}/latest",
        file=f"debian-{number}-genericcloud-{{arch}}.qcow2",
        checksums="SHA512SUMS",
        algorithm="sha512",
        os_release=_os_release("debian", number, f"Debian GNU/Linux {number} ({codename})", codename),
        arches=_DEBIAN,
    )


def _ubuntu(number: str, codename: str) -> ImageVendor:
    return ImageVendor(
        folder=f"https://cloud-images.ubuntu.com/releases/{codename}/release",
        file=f"ubuntu-{number}-server-cloudimg-{{arch}}.img",
        checksums="SHA256SUMS",
        algorithm="sha256",
        os_release=_os_release("ubuntu", number, f"Ubuntu {number} LTS", codename, "debian"),
        arches=_DEBIAN,
    )


def _alma(number: str) -> ImageVendor:
    return ImageVendor(
        folder=f"https://repo.almalinux.org/almalinux/{number}/cloud/{{arch}}/images",
        file=f"AlmaLinux-{number}-GenericCloud-latest.{{arch}}.qcow2",
        checksums="CHECKSUM",
        algorithm="sha256",
        os_release=_os_release("almalinux", number, f"AlmaLinux {number}", like="rhel centos fedora"),
        arches=_KERNEL,
    )


def _rocky(number: str) -> ImageVendor:
    return ImageVendor(
        folder=f"https://dl.rockylinux.org/pub/rocky/{number}/images/{{arch}}",
        file=f"Rocky-{number}-GenericCloud-Base.latest.{{arch}}.qcow2",
        checksums="CHECKSUM",
        algorithm="sha256",
        os_release=_os_release("rocky", number, f"Rocky Linux {number}", like="rhel centos fedora"),
        arches=_KERNEL,
    )


_AL2023 = ImageVendor(
    folder={
        "x86_64": "https://cdn.amazonlinux.com/al2023/os-images/latest/kvm",
        "aarch64": "https://cdn.amazonlinux.com/al2023/os-images/latest/kvm-arm64",
    },
    file="al2023-kvm-*-{arch}.xfs.gpt.qcow2",
    checksums="SHA256SUMS",
    algorithm="sha256",
    os_release=_os_release("amzn", "2023", "Amazon Linux 2023", like="fedora"),
    arches=_AMAZON,
)

ALIASES = {
    "debian-13": _debian("13", "trixie"),
    "debian-12": _debian("12", "bookworm"),
    "debian-11": _debian("11", "bullseye"),
    "ubuntu-26.04": _ubuntu("26.04", "resolute"),
    "ubuntu-24.04": _ubuntu("24.04", "noble"),
    "ubuntu-22.04": _ubuntu("22.04", "jammy"),
    "almalinux-9": _alma("9"),
    "rocky-9": _rocky("9"),
    "al2023": _AL2023,
}


def vendor(alias: str) -> ImageVendor:
    """Return the vendor's image of an alias. Raises ``UsageFault`` for an unknown one."""
    if alias not in ALIASES:
        near = difflib.get_close_matches(alias, ALIASES, n=1)
        known = f"available aliases: {', '.join(ALIASES)}; `pymachine image ls` lists existing images"
        raise UsageFault(f"no image {alias!r}", hint=f"did you mean {near[0]}? {known}" if near else known)
    return ALIASES[alias]


def shelf_name(alias: str, arch: str) -> str:
    """Return the name of a pulled image: the alias, with the architecture if it is not x86_64."""
    return alias if arch == "x86_64" else f"{alias}-{arch}"


def check_arch(arch: str) -> str:
    """Return the architecture as pymachine names it; Debian's names are accepted. Raises ``NotSupported``."""
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(arch, arch)
    if arch not in ARCHES:
        raise NotSupported(f"no images for {arch!r}", hint=f"architectures: {', '.join(ARCHES)}")
    return arch
