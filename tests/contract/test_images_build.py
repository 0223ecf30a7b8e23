"""A real build from Debian's archive: what is in the image, and what must not be."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.kvm_fixtures import build_folder, build_log, shelf
from pymachine_kvm.images.cache import Shelf
from pymachine_kvm.images.debian.disk import MIB
from pymachine_kvm.images.debian.recipe import DEFAULT_SIZE
from pymachine_kvm.images.image import Image

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

# What the engine's start enables by itself, and what would be the same on every machine.
SECRETS = (
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_rsa_key",
    "/var/lib/docker/engine-id",
    "/etc/docker/key.json",
)
LEFTOVERS = (
    "/var/lib/cloud",
    "/var/lib/systemd/random-seed",
    "/etc/hostname",
    "/root/finish.sh",
    "/var/log/dpkg.log",
)
ZSTD = b"\x28\xb5\x2f\xfd"
ENABLED = "/etc/systemd/system/multi-user.target.wants"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="module")
def image(engine_image: str) -> Image:
    """The image that the virtual machines of the tests boot: built by the command, once."""
    found = Shelf(shelf()).find(engine_image)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def disk(image: Image, folder: Path) -> Path:
    """The image as a raw disk."""
    words = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(image.path), str(folder / "disk.raw")]
    subprocess.run(words, check=True, timeout=300)
    return folder / "disk.raw"


def look(disk: Path, request: str) -> str:
    """Ask debugfs about the file system on a disk."""
    words = ["debugfs", "-R", request, f"{disk}?offset={MIB}"]
    return subprocess.run(words, check=True, timeout=60, capture_output=True, text=True).stdout


def exists(disk: Path, path: str) -> bool:
    return "Inode:" in look(disk, f"stat {path}")


def test_the_image_says_what_it_is(image: Image) -> None:
    assert (image.format, image.arch, image.virtual_size) == ("qcow2", "x86_64", DEFAULT_SIZE)
    assert "VERSION_CODENAME=trixie" in image.os_release
    assert image.engine.startswith("26.")
    assert image.size < DEFAULT_SIZE / 2


def test_the_steps_are_told(image: Image) -> None:
    told = build_log().read_text()
    assert "installing remaining packages inside the chroot" in told
    assert "storing the image" in told


def test_nothing_is_left_but_the_image(image: Image) -> None:
    assert not list(build_folder().iterdir())
    assert {path.name for path in shelf().iterdir() if path.stem.startswith(image.name)} == {
        f"{image.name}.img",
        f"{image.name}.json",
    }


def test_the_file_system_is_sound_and_named_in_fstab(disk: Path, folder: Path) -> None:
    checked = subprocess.run(["e2fsck", "-fn", f"{disk}?offset={MIB}"], check=False, timeout=120, capture_output=True)
    assert checked.returncode == 0, checked.stdout.decode()
    uuid = re.search("Filesystem UUID: *([0-9a-f-]{36})", look(disk, "stats"))
    assert uuid is not None
    assert f"UUID={uuid[1]} / ext4" in look(disk, "cat /etc/fstab")
    assert f"root=UUID={uuid[1]} ro net.ifnames=0 no_timer_check console=tty0 console=ttyS0,115200n8" in look(
        disk, "cat /boot/grub/grub.cfg"
    )


def test_the_machine_id_is_empty_and_there(disk: Path) -> None:
    assert exists(disk, "/etc/machine-id")
    assert look(disk, "cat /etc/machine-id") == ""


@pytest.mark.parametrize("path", [*SECRETS, *LEFTOVERS, "/var/lib/pymachine/packages-before"])
def test_what_makes_a_machine_itself_is_not_in_it(disk: Path, path: str) -> None:
    assert not exists(disk, path)


@pytest.mark.parametrize("unit", ["docker.service", "containerd.service"])
def test_the_engine_is_there_and_does_not_start_by_itself(disk: Path, unit: str) -> None:
    assert exists(disk, f"/usr/lib/systemd/system/{unit}")
    assert not exists(disk, f"{ENABLED}/{unit}")
    assert not exists(disk, "/etc/systemd/system/sockets.target.wants/docker.socket")


def test_no_script_beside_its_unit_has_systemd_read_everything_again(disk: Path) -> None:
    assert exists(disk, "/etc/init.d/ssh")
    assert not exists(disk, "/etc/init.d/docker")


@pytest.fixture(scope="module")
def initrd(disk: Path, folder: Path) -> tuple[int, list[str]]:
    """The bytes of the image's initrd, and the files in it."""
    [name] = re.findall(r"initrd\.img-\S+", look(disk, "ls -p /boot"))
    look(disk, f"dump /boot/{name.split('/')[0]} {folder / 'initrd'}")
    packed = (folder / "initrd").read_bytes()
    # Before the compressed archive lies one of what cannot be compressed any more.
    plain = subprocess.run(
        ["zstd", "-dc"], input=packed[packed.index(ZSTD) :], capture_output=True, check=True, timeout=60
    )
    return len(packed), list(names_in(plain.stdout))


def names_in(archive: bytes) -> Iterator[str]:
    """Yield the names in an archive of cpio's format newc (the kernel's buffer-format.rst)."""
    at = 0
    while archive[at : at + 6] == b"070701":
        size, length = (int(archive[at + begin : at + begin + 8], 16) for begin in (54, 94))
        yield archive[at + 110 : at + 109 + length].decode()
        content = -(-(at + 110 + length) // 4) * 4
        at = -(-(content + size) // 4) * 4


def test_the_initrd_is_compressed_as_it_is_configured_to_be(disk: Path, initrd: tuple[int, list[str]]) -> None:
    assert "COMPRESS=zstd" in look(disk, "cat /etc/initramfs-tools/conf.d/pymachine.conf")
    size, _ = initrd  # was found by the magic number of zstd
    assert size < 4 * MIB


def test_the_initrd_finds_every_disk_without_udev(initrd: tuple[int, list[str]]) -> None:
    _, names = initrd
    drivers = [name.rpartition("/")[2] for name in names if "/lib/pymachine/" in name]
    at = next(number for number, name in enumerate(sorted(drivers)) if name.endswith("-look"))
    first, rest = sorted(drivers)[:at], sorted(drivers)[at:]
    assert [name for name in first if "virtio_blk" in name]
    for rare in ("virtio_scsi", "ahci", "sd_mod"):
        assert [name for name in rest if rare in name]
    assert not [name for name in names if "udevd" in name or "libcrypto" in name]


def test_the_engines_packages_are_noted_as_its_set_up_notes_them(disk: Path) -> None:
    noted = look(disk, "cat /var/lib/pymachine/installed").splitlines()
    assert noted == sorted(noted)
    assert {"docker.io", "docker-cli", "containerd", "runc"} <= set(noted)
    assert not {"openssh-server", "cloud-init", "iptables"} & set(noted)
    assert "Mode:  0700" in look(disk, "stat /var/lib/pymachine")


def test_ssh_and_the_network_start_by_themselves(disk: Path) -> None:
    assert exists(disk, f"{ENABLED}/ssh.service")
    assert exists(disk, f"{ENABLED}/systemd-networkd.service")
