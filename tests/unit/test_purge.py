"""What a purge takes of an engine's folder, with real mounts and links: its data, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.templates import render

LAYERS = ("overlay2/l", "containers/c0ffee", "volumes/db/_data", "image/overlay2", "engine-id.d")


class Host:
    """A folder that stands for the host's /, in a mount namespace that ends with the script."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.usual = root / "var/lib/docker"

    def fill(self, folder: Path) -> None:
        """Have an engine's data in a folder."""
        for layer in LAYERS[:4]:
            (folder / layer).mkdir(parents=True)
            (folder / layer / "file with a blank").write_text("data")
        (folder / "engine-id").write_text("id")

    def clear(self, data: Path, *before: str) -> str:
        """Clear a data folder after some commands; returns what was said."""
        text = render("engine/_common.sh.j2").split("{% include")[0] + render("engine/_data.sh.j2")
        text = text.replace("/var/lib/docker", str(self.usual)).replace("/var/lib/pymachine", f"{self.root}/state")
        lines = [
            "set -eu",
            text,
            *before,
            f'clear_data "{data}" "$engines_own"',
            f"find {self.root} >{self.root}/left",
        ]
        unshare = ["unshare", "-m", "--propagation", "private"]
        done = subprocess.run(
            [*unshare, shutil.which("dash") or "sh", "-c", "\n".join(lines)],
            capture_output=True, text=True, check=False, timeout=LIMIT,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def left(self, folder: Path) -> list[str]:
        """What was left below a folder, as it was seen beside the mounts."""
        lines = (self.root / "left").read_text().splitlines()
        return sorted(line.removeprefix(f"{folder}/") for line in lines if line.startswith(f"{folder}/"))

    def is_left(self, path: Path) -> bool:
        """Whether a path was there at the end."""
        return str(path) in (self.root / "left").read_text().splitlines()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    probe = ["unshare", "-m", "true"]
    if os.getuid() or subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("mounts need root")
    return Host(tmp_path)


def test_a_plain_folder_goes_whole(host: Host) -> None:
    host.fill(host.usual)
    (host.usual / ".odd").write_text("")

    host.clear(host.usual)

    assert not host.is_left(host.usual)
    assert host.is_left(host.usual.parent)


@pytest.mark.parametrize("how", ["-t tmpfs none", "--bind {root}/disk"])
def test_a_folder_that_is_mounted_stays_empty(host: Host, how: str) -> None:
    (host.root / "disk").mkdir()
    host.usual.mkdir(parents=True)
    mount = f"mount {how.format(root=host.root)} {host.usual}"

    host.clear(
        host.usual,
        mount,
        f"mkdir -p {host.usual}/overlay2/l {host.usual}/lost+found",
        f"touch {host.usual}/engine-id",
    )

    assert host.left(host.usual) == ["lost+found"]


def test_a_link_stays_and_leads_to_an_empty_folder(host: Host) -> None:
    disk = host.root / "disk"
    host.fill(disk)
    (disk / "of somebody").write_text("else")
    host.usual.parent.mkdir(parents=True)
    host.usual.symlink_to(disk)

    host.clear(host.usual)

    assert host.usual.is_symlink()
    assert host.left(disk) == ["of somebody"]


def test_of_a_folder_elsewhere_only_the_engines_own_goes(host: Host) -> None:
    shared, own = host.root / "srv/shared", host.root / "srv/docker"
    for folder in (shared, own):
        host.fill(folder)
    (shared / "photos").mkdir()

    host.clear(own)
    assert not host.is_left(own)
    host.clear(shared)
    assert host.left(shared) == ["photos"]


def test_what_somebody_mounted_in_it_is_not_gone_through(host: Host) -> None:
    host.fill(host.usual)
    theirs, disk = host.root / "home", host.root / "disk"
    for folder in (theirs, disk / "v/_data"):
        folder.mkdir(parents=True)
        (folder / "precious").write_text("")

    said = host.clear(
        host.usual,
        f"mount --bind {disk} {host.usual}/volumes",  # a disk for the volumes: these are the engine's
        f"mkdir -p '{host.usual}/volumes/n f s/_data'",
        f"mount --bind {theirs} '{host.usual}/volumes/n f s/_data'",  # of the same file system as all the rest
        f"mount -t tmpfs none {host.usual}/containers/c0ffee",
        f"mkdir {host.usual}/overlay2/l/merged",
        f"mount -t overlay -o lowerdir={theirs}:{disk} none {host.usual}/overlay2/l/merged",  # left by the engine
    )

    assert "n f s/_data" in said
    assert host.left(host.usual) == [
        "containers", "containers/c0ffee", "volumes", "volumes/n f s", "volumes/n f s/_data",
        "volumes/n f s/_data/precious",
    ]  # fmt: skip
    assert (theirs / "precious").exists()
    assert not (disk / "v").exists()


def test_again_after_all_is_gone_is_no_fault(host: Host) -> None:
    host.clear(host.usual)
    host.usual.parent.mkdir(parents=True)
    host.usual.symlink_to(host.root / "nowhere")
    host.clear(host.usual)
