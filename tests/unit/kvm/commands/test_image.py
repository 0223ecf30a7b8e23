"""The image commands: what they print, and how they keep an image under machines from being removed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.driver import Driver, Handle
from pymachine.errors import CheckFailed, DriverMissing
from pymachine.testing.fake_driver import FakeCloud
from pymachine_kvm.images.cache import Shelf
from pymachine_kvm.images.image import ImageFacts

DISK = bytes(510) + b"\x55\xaa" + bytes(1 << 20)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("PYMACHINE_IMAGES", str(tmp_path / "shelf"))
    monkeypatch.setenv("MACHINE_STORAGE_PATH", str(tmp_path / "store"))
    made = Shelf(tmp_path / "shelf")
    with made.place("one") as place:
        place.part.write_bytes(DISK)
        place.settle(ImageFacts("x86_64", "ID=debian\n", "26.1.5", "built here"), "disk")
    return made


class Keeper:
    """A driver's copies of images: names of machines by digest, or why they cannot be looked at."""

    def __init__(self) -> None:
        self.standing: tuple[str, ...] = ()
        self.broken: CheckFailed | None = None
        self.asked: list[tuple[str, int]] = []

    def wiring(self) -> Wiring:
        keeper, base = self, FakeCloud().driver()

        class Keeping(base):  # type: ignore[misc, valid-type]
            def drop_image(self, digest: str, handles: Sequence[Handle]) -> tuple[str, ...]:
                keeper.asked.append((digest, len(handles)))
                if keeper.broken:
                    raise keeper.broken
                return keeper.standing

        def load(name: str) -> type[Driver]:
            if name != "kvm":
                raise DriverMissing(f"no driver {name!r}")
            return Keeping

        return Wiring(load_driver=load)


def test_the_list_shows_what_a_user_chooses_by(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "ls"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "ARCH", "SIZE", "DISK", "ENGINE", "AGE", "ORIGIN"]
    assert row.split() == ["one", "x86_64", "2M", "2M", "26.1.5", "now", "built", "here"]


def test_the_json_list_has_every_field(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "ls", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["path"] == str(shelf.folder / "one.img")
    assert found["os_release"] == "ID=debian\n"
    assert len(found["digest"]) == 64


def test_an_import_is_ready_to_be_used(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "disk.raw").write_bytes(DISK)
    assert main(["image", "import", str(tmp_path / "disk.raw"), "mine", "--arch", "arm64"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "image mine is ready: aarch64, 2M",
        "  pymachine create -d kvm --kvm-image mine node1",
    ]
    assert main(["image", "import", str(tmp_path / "disk.raw"), "mine"]) == 3
    assert "image mine " in capsys.readouterr().err


def test_an_import_with_another_checksum_is_refused(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "disk.raw").write_bytes(DISK)
    assert main(["image", "import", str(tmp_path / "disk.raw"), "mine", "--digest", "sha256=" + "0" * 64]) == 3
    assert "sha256 checksum" in capsys.readouterr().err
    assert shelf.find("mine") is None


def test_removing_takes_the_copies_first(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    keeper, image = Keeper(), shelf.find("one")
    assert image is not None
    assert main(["image", "rm", "one"], wiring=keeper.wiring()) == 0
    assert keeper.asked == [(image.digest, 0)]
    assert shelf.find("one") is None
    assert capsys.readouterr().out == "image one is removed\n"


def test_an_image_under_machines_stays(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    keeper = Keeper()
    keeper.standing = ("node1", "node2")
    assert main(["image", "rm", "one"], wiring=keeper.wiring()) == 3
    assert "node1, node2" in capsys.readouterr().err
    assert shelf.find("one") is not None


def test_without_a_daemon_and_without_machines_the_file_goes(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper = Keeper()
    keeper.broken = CheckFailed("libvirt does not answer")
    assert main(["image", "rm", "one"], wiring=keeper.wiring()) == 0
    assert ": libvirt does not answer" in capsys.readouterr().err
    assert shelf.find("one") is None


def test_an_image_that_is_not_there_cannot_be_removed(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "rm", "none"], wiring=Keeper().wiring()) == 3
    assert "image none" in capsys.readouterr().err


def test_a_damaged_image_can_be_removed(shelf: Shelf) -> None:
    image = shelf.find("one")
    assert image is not None
    image.path.chmod(0o644)
    image.path.write_bytes(b"damaged")
    assert main(["image", "rm", "one"], wiring=Keeper().wiring()) == 0
    assert shelf.list() == []


def test_the_commands_load_neither_the_driver_nor_what_it_needs(shelf: Shelf) -> None:
    program = (
        "import sys; sys.modules['libvirt'] = sys.modules['pycdlib'] = None; from pymachine.cli import main\n"
        "assert main(['image', 'ls']) == 0; assert main(['image', 'rm', 'one']) == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("one ")
    assert done.stdout.splitlines()[2:] == ["image one is removed"]
    program = (
        "import sys; from pymachine.cli import main; main(['image', 'ls']); sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT, check=False)
    loaded = set(done.stderr.split())
    assert "pymachine_kvm.images.cache" in loaded
    assert not loaded & {"pymachine_kvm.driver", "paramiko", "jinja2"}
