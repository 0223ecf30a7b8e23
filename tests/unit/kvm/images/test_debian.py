"""What an image is built of: package sources, the boot sector, the files laid over the tree."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
import tarfile
from importlib.resources import files
from pathlib import Path

import pytest

from patience import LIMIT, gives_up
from pymachine.errors import CheckFailed, NotSupported, PymachineError, UsageFault
from pymachine_kvm.images.debian.disk import boot_sector, core_image, write_boot
from pymachine_kvm.images.debian.fsync import can_be_unsynced, unsync
from pymachine_kvm.images.debian.programs import require, run
from pymachine_kvm.images.debian.recipe import OVERLAY, Recipe, check_size, overlay, release
from pymachine_kvm.images.debian.sources import deb_lines

UUID = "8c2d1f5e-0000-4000-8000-000000000001"
BOOT = bytes(510) + b"\x55\xaa"

DEB822 = """\
# the archive
Types: deb deb-src
URIs: http://archive.example/debian
Suites: bookworm
 bookworm-updates
Components: main

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Enabled: no

Types: deb
URIs: http://archive.example/debian-security/
Suites: bookworm-security
Components: main
"""


def apt(tmp_path: Path, **files: str) -> Path:
    """A folder like /etc/apt."""
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        (tmp_path / "sources.list.d" / name.replace("_", ".")).write_text(text)
    return tmp_path


def test_packages_come_from_where_apt_gets_its_own(tmp_path: Path) -> None:
    assert deb_lines("trixie", None, apt(tmp_path, debian_sources=DEB822)) == (
        "deb http://archive.example/debian trixie main",
        "deb http://archive.example/debian trixie-updates main",
        "deb http://archive.example/debian-security/ trixie-security main",
    )


def test_the_old_form_of_sources_is_read_as_well(tmp_path: Path) -> None:
    folder = apt(tmp_path, other_list="deb https://other.example/tool stable main\n")
    lines = (
        "# deb http://off.example/debian x main\ndeb [signed-by=/k.gpg arch=amd64] https://a.example/debian x main\n"
    )
    (folder / "sources.list").write_text(lines)
    assert deb_lines("trixie", None, folder) == ("deb https://a.example/debian trixie main",)


def test_a_mirror_of_the_users_comes_first(tmp_path: Path) -> None:
    lines = deb_lines("trixie", "http://mirror.lan/debian", apt(tmp_path, debian_sources=DEB822))
    assert lines == ("deb http://mirror.lan/debian trixie main",)


def test_without_a_debian_archive_the_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="Debian archive") as caught:
        deb_lines("trixie", None, apt(tmp_path, ubuntu_list="deb http://a.example/ubuntu noble main\n"))
    assert "--mirror" in str(caught.value.hint)


def test_the_boot_sector_loads_the_core_image_behind_it_and_has_one_partition() -> None:
    mbr = boot_sector(BOOT, 4096, 0x12345678)
    assert struct.unpack_from("<Q", mbr, 0x5C) == (1,)
    assert struct.unpack_from("<I", mbr, 440) == (0x12345678,)
    active, kind, start, count = struct.unpack_from("<B3xB3xII", mbr, 446)
    assert (active, kind, start, count) == (0x80, 0x83, 2048, 4096 - 2048)
    assert mbr[462:510] == bytes(48)
    assert mbr[510:] == b"\x55\xaa"


def test_the_core_image_is_told_where_its_rest_is() -> None:
    core = core_image(b"x" * 1300)
    assert len(core) == 3 * 512
    assert struct.unpack_from("<QHH", core, 500) == (2, 2, 0x820)


@pytest.mark.parametrize("size", [100, 2 << 20])
def test_a_core_image_that_cannot_be_right_is_refused(size: int) -> None:
    with pytest.raises(PymachineError, match=" fit"):
        core_image(b"x" * size)


def test_a_boot_sector_that_is_none_is_refused() -> None:
    with pytest.raises(PymachineError, match="boot sector"):
        boot_sector(bytes(512), 4096, 1)


def test_the_file_system_behind_the_gap_is_left_alone(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"\xee" * (2 << 20))
    write_boot(disk, BOOT, b"x" * 5000, 1)
    assert disk.stat().st_size == 2 << 20
    assert disk.read_bytes()[1 << 20 :] == b"\xee" * (1 << 20)


@pytest.mark.parametrize("name", [name for name in OVERLAY if name.endswith(".sh")])
@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_what_runs_inside_the_image_is_clean_shell(name: str) -> None:
    text = (files("pymachine_kvm.images.debian") / "overlay" / name).read_text()
    found = subprocess.run(["shellcheck", "-s", "sh", "-"], input=text, check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.skipif(not can_be_unsynced(), reason="only root on x86_64 builds without waiting for the disk")
def test_what_a_build_runs_does_not_wait_for_the_disk_and_knows_no_other_difference(tmp_path: Path) -> None:
    # A pipe cannot be written through: the kernel says so where it is asked.
    asked = "import os, sys; os.write(1, b'x'); print(os.fsync(1))"
    for wait, code in ((unsync, 0), (None, 1)):
        done = subprocess.run(
            [sys.executable, "-c", asked], preexec_fn=wait, check=False, capture_output=True, text=True
        )
        assert done.returncode == code


def test_the_overlay_names_the_file_system_that_will_be_made() -> None:
    with tarfile.open(fileobj=io.BytesIO(overlay(Recipe(release("debian-13", "x86_64"), UUID)))) as tar:
        entries = {entry.name: entry for entry in tar}
        fstab = tar.extractfile("etc/fstab")
        assert fstab is not None
        assert fstab.read().decode().startswith(f"UUID={UUID} / ext4 ")
    assert {(entry.uid, entry.gid) for entry in entries.values()} == {(0, 0)}
    programs = {path for path, entry in entries.items() if entry.mode == 0o755}
    assert programs == {path for name, path in OVERLAY.items() if name.endswith(".sh")}
    assert {entry.mode for path, entry in entries.items() if path not in programs} == {0o644}
    assert "etc/cloud/cloud.cfg.d/90_pymachine.cfg" in entries


def test_an_image_with_the_engine_is_named_so_and_one_without_stands_for_its_alias() -> None:
    wanted = release("debian-12", "x86_64")
    assert Recipe(wanted, UUID).default_name == "debian-12-docker"
    assert Recipe(wanted, UUID, with_engine=False).default_name == "debian-12"


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(UsageFault, match=r"'ubuntu-24\.04'"):
        release("ubuntu-24.04", "x86_64")
    with pytest.raises(NotSupported, match=" aarch64 "):
        release("debian-13", "aarch64")
    with pytest.raises(UsageFault, match="too small"):
        check_size(1 << 30)
    assert check_size((2 << 30) + 5) == 2 << 30


def test_missing_programs_are_named_with_the_command_that_installs_them(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match=" no-such-program-here") as caught:
        require({"sh": "dash", "no-such-program-here": "its-package"}, {"PATH": "/usr/bin:/bin"})
    assert caught.value.hint == "sudo apt-get install its-package"


def test_a_program_that_fails_is_quoted() -> None:
    said: list[str] = []
    with pytest.raises(PymachineError, match=r"sh .*code 3\n  one\n  two"):
        run(["sh", "-c", "cat; echo two >&2; exit 3"], deadline=LIMIT, given="one\n", hear=said.append)
    assert said == ["one", "two"]


def test_a_program_that_hangs_is_ended() -> None:
    with gives_up(), pytest.raises(PymachineError, match=r"0\.2 s"):
        run([sys.executable, "-c", "import time; time.sleep(600)"], deadline=0.2)
