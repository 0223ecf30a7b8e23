"""Whether QEMU's account gets into a folder: asked as that account where we may, by modes where not."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pymachine_kvm.folders import UNASKED, closed_to, nearest
from pymachine_kvm.kvm_device import QemuAccount, account


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter: pytest's own are its user's alone."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def nobody() -> QemuAccount:
    found = account("nobody")
    assert found is not None
    return found


def test_a_folder_that_everybody_enters_is_open_be_it_made_or_not(folder: Path, nobody: QemuAccount) -> None:
    assert closed_to(nobody, str(folder)) is None
    assert closed_to(nobody, str(folder / "yet/to/be/made")) is None


def test_the_first_closed_folder_on_the_way_is_named(folder: Path, nobody: QemuAccount) -> None:
    (folder / "home/vms/pool").mkdir(parents=True)
    (folder / "home").chmod(0o750)
    (folder / "home/vms").chmod(0o700)

    assert closed_to(nobody, str(folder / "home/vms/pool")) == folder / "home"


def test_the_pools_own_folder_counts_and_reading_it_does_not(folder: Path, nobody: QemuAccount) -> None:
    (folder / "pool").mkdir(mode=0o711)
    (folder / "pool").chmod(0o711)
    assert closed_to(nobody, str(folder / "pool")) is None
    (folder / "pool").chmod(0o744)
    assert closed_to(nobody, str(folder / "pool")) == folder / "pool"


def test_a_link_leads_through_its_target(folder: Path, nobody: QemuAccount) -> None:
    (folder / "closed/pool").mkdir(parents=True)
    (folder / "closed").chmod(0o700)
    (folder / "pool").symlink_to(folder / "closed/pool")

    assert closed_to(nobody, str(folder / "pool")) == folder / "closed"


def test_an_acl_opens_what_modes_close(folder: Path, nobody: QemuAccount) -> None:
    """Written as acl(5) lays it out: user, the named user, group, mask, other."""
    entries = [(1, 7, -1), (2, 1, nobody.uid), (4, 0, -1), (16, 1, -1), (32, 0, -1)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(folder, "system.posix_acl_access", value)
    except OSError:
        pytest.skip("this file system keeps no ACLs")

    assert closed_to(nobody, str(folder)) is (None if os.geteuid() == 0 else UNASKED)


def test_ones_own_folders_and_roots_way_are_open(folder: Path) -> None:
    (folder / "pool").mkdir(mode=0o700)

    assert closed_to(account(os.geteuid()), str(folder / "pool")) is None
    assert closed_to(QemuAccount("root", 0, frozenset({0})), str(folder / "pool")) is None


@pytest.mark.parametrize("path", ["", "relative/pool"])
def test_nobody_is_asked_about_no_path_or_for_no_account(path: str, nobody: QemuAccount) -> None:
    assert closed_to(nobody, path) is UNASKED
    assert closed_to(None, "/") is UNASKED


def test_the_nearest_folder_is_the_one_that_is_there(folder: Path) -> None:
    assert nearest(str(folder / "a/b")) == folder
    assert nearest(str(folder)) == folder
