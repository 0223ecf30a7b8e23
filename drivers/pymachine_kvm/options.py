"""The options of the kvm driver, and their checked values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from pymachine.addresses import check_user
from pymachine.driver import option, refused
from pymachine.errors import UsageFault
from pymachine.sizes import GIB, MIB, parse_size
from pymachine.user_path import read_lines, user_path

LEAST_MEMORY = 256 * MIB
LEAST_DISK = 1 * GIB
DEFAULT_IMAGE = "debian-13"
DEFAULT_USER = "pymachine"

_OBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KvmOptions:
    """The options of a virtual machine."""

    kvm_cpus: int = field(
        default=2,
        metadata=option("virtual processors", metavar="N", env="PYMACHINE_KVM_CPUS", aliases=("--kvm-cpu-count",)),
    )
    kvm_memory: str = field(
        default="2G",
        metadata=option("memory: 2G, 1536M, or a number of MiB", metavar="SIZE", env="PYMACHINE_KVM_MEMORY"),
    )
    kvm_disk: str = field(
        default="20G",
        metadata=option(
            "size of the disk; space is used only as it is written",
            metavar="SIZE",
            env="PYMACHINE_KVM_DISK",
            aliases=("--kvm-disk-size",),
        ),
    )
    kvm_image: str = field(
        default=DEFAULT_IMAGE,
        metadata=option(
            "image to boot: a name of `image ls`, an alias such as debian-13, a file, or a URL",
            metavar="IMAGE",
            env="PYMACHINE_KVM_IMAGE",
        ),
    )
    kvm_network: str = field(
        default="default", metadata=option("libvirt network", metavar="NAME", env="PYMACHINE_KVM_NETWORK")
    )
    kvm_uri: str = field(
        default="qemu:///system",
        metadata=option(
            "libvirt daemon: qemu:///system, qemu:///session, qemu+ssh://USER@HOST/system",
            metavar="URI",
            env="LIBVIRT_DEFAULT_URI",
            aliases=("--kvm-qemu-uri",),
        ),
    )
    kvm_pool: str = field(
        default="default", metadata=option("libvirt storage pool", metavar="NAME", env="PYMACHINE_KVM_POOL")
    )
    kvm_virt_type: Literal["auto", "kvm", "qemu"] = field(
        default="auto",
        metadata=option("hardware virtualisation (kvm), emulation (qemu), or whichever works (auto)", metavar="TYPE"),
    )
    kvm_user_data: str | None = field(
        default=None, metadata=option("cloud-config file to merge into pymachine's", metavar="FILE")
    )
    kvm_firmware: Literal["bios", "uefi", "auto"] = field(
        default="auto", metadata=option("firmware: bios, uefi, or by architecture (auto)", metavar="KIND")
    )
    kvm_arch: str | None = field(
        default=None, metadata=option("architecture: x86_64, aarch64  [default: the host's]", metavar="ARCH")
    )
    kvm_autostart: bool = field(default=False, metadata=option("start the machine when its host boots"))
    kvm_mount: tuple[str, ...] = field(
        default=(), metadata=option("folder of the host to mount in the machine", metavar="HOST:GUEST[:ro]")
    )
    kvm_ssh_user: str = field(
        default=DEFAULT_USER, metadata=option("account to create for logging in", metavar="USER")
    )
    kvm_boot_timeout: int = field(
        default=300,
        metadata=option(
            "seconds that a boot may take; tripled when emulated",
            metavar="SECONDS",
            env="PYMACHINE_KVM_BOOT_TIMEOUT",
        ),
    )
    kvm_bake: bool = field(
        default=False, metadata=option("keep an image with the engine for the next create of this image")
    )
    kvm_boot2docker_url: str | None = field(
        default=None, metadata=refused("--kvm-boot2docker-url", "machines boot cloud images: give --kvm-image")
    )
    kvm_cache_mode: str | None = field(
        default=None, metadata=refused("--kvm-cache-mode", "libvirt chooses the cache of the disk: omit it")
    )
    kvm_io_mode: str | None = field(
        default=None, metadata=refused("--kvm-io-mode", "libvirt chooses how the disk is accessed: omit it")
    )


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the host shown in the machine. ``tag`` names it between the two."""

    source: str
    target: str
    read_only: bool
    tag: str


@dataclass(frozen=True, slots=True)
class DomainConfig:
    """The options, read: sizes in bytes, ``arch`` None for the host's own, ``user_data`` the file's text."""

    cpus: int
    memory: int
    disk: int
    image: str
    network: str
    uri: str
    pool: str
    virt_type: str
    user_data: str | None
    firmware: str
    arch: str | None
    autostart: bool
    mounts: tuple[Mount, ...]
    user: str
    boot_timeout: float
    bake: bool

    @property
    def session(self) -> bool:
        """Whether the machine lives in a user's own daemon, with a user network."""
        return self.uri.partition("?")[0].endswith("/session")


def read_options(options: KvmOptions) -> DomainConfig:
    """Return what the options come to. Reads the user-data file; raises ``UsageFault``."""
    return DomainConfig(
        cpus=_processors(options.kvm_cpus),
        memory=_size(options.kvm_memory, "--kvm-memory", least=LEAST_MEMORY),
        disk=_size(options.kvm_disk, "--kvm-disk", least=LEAST_DISK),
        image=_given(options.kvm_image, "--kvm-image"),
        network=_object(options.kvm_network, "--kvm-network"),
        uri=_given(options.kvm_uri, "--kvm-uri"),
        pool=_object(options.kvm_pool, "--kvm-pool"),
        virt_type=options.kvm_virt_type,
        user_data=_text(options.kvm_user_data),
        firmware=options.kvm_firmware,
        arch=_arch(options.kvm_arch),
        autostart=options.kvm_autostart,
        mounts=tuple(_mount(text, number) for number, text in enumerate(options.kvm_mount)),
        user=check_user(options.kvm_ssh_user),
        boot_timeout=_seconds(options.kvm_boot_timeout),
        bake=options.kvm_bake,
    )


def _size(text: str, flag: str, *, least: int) -> int:
    size = parse_size(text, flag)
    if size < least:
        raise UsageFault(f"{flag}: {text} is too small", hint=f"give at least {least // MIB}M")
    return size


def _processors(count: int) -> int:
    if not 1 <= count <= 255:
        raise UsageFault(f"--kvm-cpus: {count} is out of range", hint="give 1 or more")
    return count


def _seconds(seconds: int) -> float:
    if seconds < 10:
        raise UsageFault(f"--kvm-boot-timeout: no machine boots in {seconds} s", hint="give 10 or more")
    return float(seconds)


def _given(text: str, flag: str) -> str:
    if not text.strip() or "\0" in text or "\n" in text:
        raise UsageFault(f"{flag}: {text!r} has no name", hint="`pymachine create -d kvm --help` has examples")
    return text


def _object(text: str, flag: str) -> str:
    if not _OBJECT.fullmatch(text):
        raise UsageFault(f"{flag}: {text!r} is not a valid name in libvirt", hint="use letters, digits, . _ and -")
    return text


def _arch(text: str | None) -> str | None:
    known = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}
    if text is not None and text not in known:
        raise UsageFault(f"--kvm-arch: {text!r} is not supported", hint="choose x86_64 or aarch64")
    return None if text is None else known[text]


def _text(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return read_lines(user_path(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(
            f"--kvm-user-data: {path} cannot be read: {error}", hint="give a cloud-config file"
        ) from None


def _mount(text: str, number: int) -> Mount:
    parts = text.split(":")
    mode = parts.pop() if len(parts) == 3 and parts[-1] in ("ro", "rw") else "rw"
    if len(parts) != 2 or not parts[1].startswith("/") or "\n" in text:
        raise UsageFault(
            f"--kvm-mount: {text!r} is not a valid mount", hint="write HOST:GUEST or HOST:GUEST:ro, GUEST from /"
        )
    source = str(user_path(parts[0]).absolute())
    return Mount(source, parts[1], mode == "ro", f"pymachine{number}")
