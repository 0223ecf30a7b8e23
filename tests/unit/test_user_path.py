"""Files that the user names are read up to a size."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.user_path import SIZE_LIMIT, as_lines, read_whole

ROOM = 1 << 30  # bytes of address space: less than what /dev/zero would take


def test_a_file_has_a_greatest_size(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_bytes(b"x" * SIZE_LIMIT)
    assert len(read_whole(file)) == SIZE_LIMIT
    with file.open("ab") as end:
        end.write(b"x")
    with pytest.raises(OSError, match=str(file)) as refused:
        read_whole(file)
    assert refused.value.errno == errno.EFBIG


def test_a_pipe_is_read_to_its_end() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"fleet: shop\n")
    os.close(writer)
    assert read_whole(Path(f"/dev/fd/{reader}")) == b"fleet: shop\n"
    os.close(reader)


def test_lines_of_other_systems() -> None:
    assert as_lines(b"\xef\xbb\xbfa\r\nb\rc\n") == "a\nb\nc\n"


@pytest.mark.parametrize(
    "words",
    [
        ["inventory", "check", "-f", "/dev/zero"],
        ["create", "-d", "none", "--url", "tcp://192.0.2.1", "--engine-config", "/dev/zero", "x"],
        ["create", "-d", "kvm", "--kvm-user-data", "/dev/zero", "x"],
        ["create", "-d", "aws", "--aws-region", "eu-central-1", "--aws-user-data", "/dev/zero", "x"],
    ],
    ids=lambda words: words[-2] if words[-1] == "x" else words[0],
)
def test_a_file_without_end_is_wrong_usage(tmp_path: Path, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pymachine", "-s", str(tmp_path / "store"), *words],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM)),
        capture_output=True, text=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "/dev/zero" in done.stderr
