"""The program named docker-machine: written, started, recognised, removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.cli import docker_machine_program as program
from pymachine.cli import main
from pymachine.errors import CheckFailed, PymachineError


def test_it_starts_and_imports_nothing_from_the_current_folder(tmp_path: Path) -> None:
    path = program.install(tmp_path / "bin", sys.executable)
    (tmp_path / "pymachine.py").write_text("raise SystemExit(7)\n")
    done = subprocess.run([path, "-v"], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stdout.split()[:3]) == (0, ["docker-machine", "version", "0.16.2,"])


def test_a_path_with_blanks_is_one_word(tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    python = folder / "python"
    python.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n')
    python.chmod(0o755)
    path = program.install(folder, str(python))
    done = subprocess.run([path, "ls", "a b"], capture_output=True, text=True, timeout=LIMIT, check=True)
    assert done.stdout.splitlines() == ["-P", "-m", program.MODULE, str(path), "ls", "a b"]


def test_a_later_install_replaces_it(tmp_path: Path) -> None:
    program.install(tmp_path, "/old/python")
    path = program.install(tmp_path, "/new/python")
    assert path.read_text() == program.text("/new/python")
    assert path.stat().st_mode & 0o777 == 0o755 & ~_umask()
    assert list(tmp_path.iterdir()) == [path]


def _umask() -> int:
    os.umask(umask := os.umask(0))
    return umask


def _other_program(path: Path) -> None:
    path.write_text("#!/bin/sh\nexec real-docker-machine\n")


def _link_to_ours(path: Path) -> None:
    elsewhere = program.install(path.parent / "elsewhere", "/python")
    path.symlink_to(elsewhere)


def _changed_by_hand(path: Path) -> None:
    path.write_text(program.text("/python") + "echo done\n")


@pytest.mark.parametrize("make", [_other_program, _link_to_ours, _changed_by_hand, Path.mkdir])
def test_what_is_not_ours_is_left_as_it_is(make: object, tmp_path: Path) -> None:
    path = tmp_path / program.NAME
    assert callable(make)
    make(path)
    before = path.lstat()
    for change in (lambda: program.install(tmp_path, "/python"), lambda: program.remove(path)):
        with pytest.raises(CheckFailed):
            change()
    assert path.lstat() == before


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PymachineError):
        program.install(tmp_path / "file" / "bin", "/python")


def test_one_program_is_removed_once_whatever_path_calls_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = program.install(tmp_path / "bin", "/python")
    (tmp_path / "sbin").symlink_to("bin")
    monkeypatch.setenv("PATH", f"{tmp_path}/sbin:{tmp_path}/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["compat", "remove"]) == 0
    assert not path.exists()
    assert main(["compat", "remove"]) == 0
    assert main(["compat", "remove", "--from", str(tmp_path / "bin")]) == CheckFailed.exit_code
    capsys.readouterr()
