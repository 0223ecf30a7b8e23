from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pymachine.transport import RemoteFile
from pymachine.transport.archive import NO_TAR, check_paths, pack_lines, pack_tar, unpack_lines, unpack_tar
from pymachine.transport.command import Command

FILES = (
    RemoteFile("setup.sh", b"#!/bin/sh\n", 0o755),
    RemoteFile("tls/server key.pem", bytes(range(256)) * 40, 0o600),
    RemoteFile("a/b/c/empty", b"", 0o444),
)


def run(command: Command, stdin: bytes, path: str | None = None) -> subprocess.CompletedProcess[bytes]:
    words = ["sh", "-c", command.shell()]
    return subprocess.run(
        words, input=stdin, capture_output=True, check=False, env={"PATH": path or os.environ["PATH"]}
    )


def assert_placed(folder: Path) -> None:
    for file in FILES:
        placed = folder / file.path
        assert placed.read_bytes() == file.content
        assert placed.stat().st_mode & 0o7777 == file.mode


def test_a_tar_archive_is_unpacked_with_exact_modes_into_a_private_folder(tmp_path: Path) -> None:
    done = run(unpack_tar(str(tmp_path / "new" / "in")), pack_tar(FILES))
    assert (done.returncode, done.stderr) == (0, b"")
    assert_placed(tmp_path / "new" / "in")
    assert (tmp_path / "new" / "in").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "in" / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_without_tar_the_script_says_so_before_it_touches_anything(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    done = run(unpack_tar(str(tmp_path / "in")), b"", str(tmp_path / "bin"))
    assert done.returncode == NO_TAR
    assert not (tmp_path / "in").exists()


def test_lines_do_the_same_with_sh_and_base64_alone(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "base64", "mkdir", "rm", "chmod"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    done = run(unpack_lines(str(tmp_path / "in")), pack_lines(FILES), str(tmp_path / "bin"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert_placed(tmp_path / "in")


def test_busybox_unpacks_both(tmp_path: Path) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("no busybox here")
    (tmp_path / "bin").mkdir()
    for name in ("sh", "tar", "base64", "mkdir", "rm", "chmod"):
        (tmp_path / "bin" / name).symlink_to(busybox)
    for name, command, data in (("t", unpack_tar, pack_tar(FILES)), ("l", unpack_lines, pack_lines(FILES))):
        done = run(command(str(tmp_path / name)), data, str(tmp_path / "bin"))
        assert (done.returncode, done.stderr) == (0, b"")
        assert_placed(tmp_path / name)


@pytest.mark.parametrize("command", [unpack_tar, unpack_lines])
def test_files_that_are_there_are_replaced_and_the_folder_keeps_its_mode(tmp_path: Path, command: object) -> None:
    pack = pack_tar if command is unpack_tar else pack_lines
    assert callable(command)
    (tmp_path / "in").mkdir(mode=0o755)
    (tmp_path / "in" / "setup.sh").symlink_to(tmp_path / "elsewhere")
    assert run(command(str(tmp_path / "in")), pack(FILES)).returncode == 0
    assert_placed(tmp_path / "in")
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "in").stat().st_mode & 0o777 == 0o755


def test_a_symbolic_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "in").symlink_to(tmp_path / "real")
    done = run(unpack_tar(str(tmp_path / "in")), pack_tar(FILES))
    assert done.returncode == 1
    assert b"symbolic link" in done.stderr
    assert not list((tmp_path / "real").iterdir())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder that belongs to another account")
def test_a_folder_of_another_account_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    os.chown(tmp_path / "in", 12345, 12345)
    done = run(unpack_tar(str(tmp_path / "in")), pack_tar(FILES))
    assert done.returncode == 1
    assert b"another account" in done.stderr


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", ".", "a\nb", "a//b", "-x", " a", "./a"])
def test_a_path_that_could_leave_the_folder_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="upload path"):
        check_paths([RemoteFile(path, b"")], "/tmp/x")


@pytest.mark.parametrize("folder", ["relative", "/a/../b", ""])
def test_the_folder_must_be_absolute(folder: str) -> None:
    with pytest.raises(ValueError, match="not absolute"):
        check_paths([], folder)
