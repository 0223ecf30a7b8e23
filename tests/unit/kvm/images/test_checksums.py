"""Vendors' lists of checksums, in the forms that they come in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pymachine.errors import CheckFailed, UsageFault
from pymachine_kvm.images.checksums import Digest, entries

A256, B256 = "a" * 64, "B" * 64
A512 = "c" * 128


@pytest.mark.parametrize(
    "line",
    [
        f"{A256}  disk.qcow2",
        f"{A256} *disk.qcow2",
        f"{A256}  ./disk.qcow2",
        f"SHA256 (disk.qcow2) = {A256}",
        f"{A256.upper()}  disk.qcow2",
    ],
)
def test_every_form_of_line_is_read(line: str) -> None:
    assert entries(line, "sha256") == {"disk.qcow2": Digest("sha256", A256)}


def test_only_lines_of_the_wanted_algorithm_count() -> None:
    text = f"# disk.img: 5 bytes\n{A512}  disk.img\n-----BEGIN PGP SIGNATURE-----\n\n{B256} *other.img\n"
    assert entries(text, "sha512") == {"disk.img": Digest("sha512", A512)}
    assert entries(text, "sha256") == {"other.img": Digest("sha256", B256.lower())}


def test_a_page_of_a_proxy_lists_nothing() -> None:
    assert entries("<html>please log in</html>", "sha256") == {}


@pytest.mark.parametrize("text", [A256, f"sha256={A256}", f"sha256:{A256}", f"SHA256={A256.upper()}"])
def test_a_digest_is_read_with_and_without_its_algorithm(text: str) -> None:
    assert Digest.read(text) == Digest("sha256", A256)


@pytest.mark.parametrize("text", ["", "md5=abc", f"sha512={A256}", "sha256=" + "z" * 64, A256[:-1]])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="checksum"):
        Digest.read(text)


def test_a_file_is_compared_whole(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"content")
    right = Digest("sha512", hashlib.sha512(b"content").hexdigest())
    right.check(path, "the disk")
    path.write_bytes(b"content.")
    with pytest.raises(CheckFailed, match="the disk has sha512 checksum"):
        right.check(path, "the disk")
