"""Images fetched over real HTTP: whole, checked, resumed, once; and every way in which that goes wrong."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contract.image_host import ImageHost, image_host
from patience import LIMIT
from pymachine.clock import Clock
from pymachine.errors import CheckFailed, PymachineError, Unreachable, UsageFault
from pymachine_kvm.images.cache import Shelf, silent
from pymachine_kvm.images.download import fetch
from pymachine_kvm.images.image import Image
from pymachine_kvm.images.pull import import_file, pull, resolve
from unit.world import FakeClock

FOLDER = "/images/cloud/trixie/latest"
NAME = "debian-13-genericcloud-amd64.qcow2"
MIB = 1 << 20


def disk(size: int = 3 * MIB, fill: bytes = b"a") -> bytes:
    """A raw disk whose bytes differ from place to place."""
    body = b"".join(hashlib.sha256(fill + number.to_bytes(4, "big")).digest() for number in range(size // 32))
    return bytes(440) + bytes(70) + b"\x55\xaa" + body[512:]


@pytest.fixture
def host() -> Iterator[ImageHost]:
    with image_host() as serving:
        serving.publish(FOLDER, NAME, disk())
        yield serving


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf", {})


@pytest.fixture
def waits() -> FakeClock:
    return FakeClock()


def pulled(shelf: Shelf, host: ImageHost, said: list[str] | None = None) -> Image:
    return pull(shelf, "debian-13", arch="x86_64", mirror=host.url, progress=silent if said is None else said.append)


def left(shelf: Shelf) -> set[str]:
    return {path.name for path in shelf.folder.iterdir()}


def test_a_pulled_image_is_the_vendors_and_knows_what_it_is(shelf: Shelf, host: ImageHost) -> None:
    said: list[str] = []
    image = pulled(shelf, host, said)
    assert image.path.read_bytes() == disk()
    assert (image.name, image.arch, image.engine) == ("debian-13", "x86_64", "")
    assert 'VERSION_ID="13"' in image.os_release
    assert image.origin == f"{host.url}{FOLDER}/{NAME}"
    assert "100 % of 3 MiB" in said
    assert left(shelf) == {"debian-13.img", "debian-13.json"}


def test_a_second_pull_fetches_nothing(shelf: Shelf, host: ImageHost) -> None:
    first = pulled(shelf, host)
    asked = len(host.asked)
    assert pulled(shelf, host) == first
    assert len(host.asked) == asked


def test_pulling_again_replaces_the_image_when_the_new_one_is_whole(shelf: Shelf, host: ImageHost) -> None:
    first = pulled(shelf, host)
    host.publish(FOLDER, NAME, disk(fill=b"new"))
    host.files[f"{FOLDER}/{NAME}"] = b"damaged" * MIB
    with pytest.raises(CheckFailed, match="checksum"):
        pull(shelf, "debian-13", arch="x86_64", mirror=host.url, again=True)
    assert shelf.find("debian-13") == first
    host.publish(FOLDER, NAME, disk(fill=b"new"))
    second = pull(shelf, "debian-13", arch="x86_64", mirror=host.url, again=True)
    assert second.digest != first.digest
    assert second.path.read_bytes() == disk(fill=b"new")


def test_a_broken_connection_is_taken_up_where_it_broke(shelf: Shelf, host: ImageHost) -> None:
    host.cuts = [MIB, MIB // 2]
    image = pulled(shelf, host)
    assert image.path.read_bytes() == disk()
    ranges = [wanted for path, wanted in host.asked if path.endswith(NAME)]
    assert ranges == [None, f"bytes={MIB}-", f"bytes={MIB + MIB // 2}-"]


def test_a_host_that_gives_up_leaves_what_came_for_the_next_time(
    shelf: Shelf, host: ImageHost, waits: FakeClock
) -> None:
    part = shelf.folder / "x.part"
    shelf.folder.mkdir()
    host.cuts = [MIB, 0, 0, 0, 0, 0]
    with pytest.raises(Unreachable, match="ended early") as caught:
        fetch(f"{host.url}{FOLDER}/{NAME}", part, silent, clock=Clock(waits.now, waits.sleep))
    assert " 1 MiB" in str(caught.value.hint)
    assert waits.slept == [1.0, 2.0, 4.0, 8.0]
    assert part.stat().st_size == MIB
    host.cuts, host.asked = [], []
    fetch(f"{host.url}{FOLDER}/{NAME}", part, silent)
    assert host.asked == [(f"{FOLDER}/{NAME}", f"bytes={MIB}-")]
    assert part.read_bytes() == disk()


def test_a_file_that_changed_between_two_tries_is_fetched_from_its_beginning(
    shelf: Shelf, host: ImageHost, waits: FakeClock
) -> None:
    part = shelf.folder / "x.part"
    shelf.folder.mkdir()
    host.cuts = [MIB, 0, 0, 0, 0, 0]
    url = f"{host.url}{FOLDER}/{NAME}"
    with pytest.raises(Unreachable):
        fetch(url, part, silent, clock=Clock(waits.now, waits.sleep))
    host.publish(FOLDER, NAME, disk(fill=b"new"))
    host.cuts = []
    fetch(url, part, silent)
    assert part.read_bytes() == disk(fill=b"new")


@pytest.mark.parametrize(("ranges", "etags"), [(False, True), (True, False)])
def test_a_host_that_cannot_resume_is_asked_for_all_of_it(
    shelf: Shelf, host: ImageHost, ranges: bool, etags: bool
) -> None:
    host.ranges, host.etags = ranges, etags
    host.cuts = [MIB]
    assert pulled(shelf, host).path.read_bytes() == disk()


def test_an_image_that_does_not_match_its_checksum_is_thrown_away(shelf: Shelf, host: ImageHost) -> None:
    host.files[f"{FOLDER}/{NAME}"] = disk(fill=b"other")
    with pytest.raises(CheckFailed, match="sha512 checksum"):
        pulled(shelf, host)
    assert left(shelf) == set()


def test_a_list_without_the_image_is_refused_before_anything_is_fetched(shelf: Shelf, host: ImageHost) -> None:
    host.files[f"{FOLDER}/SHA512SUMS"] = b"<html>log in first</html>"
    with pytest.raises(CheckFailed, match="checksum"):
        pulled(shelf, host)
    assert host.times(NAME) == 0


def test_an_incomplete_mirror_is_named(shelf: Shelf, host: ImageHost) -> None:
    host.files.clear()
    with pytest.raises(CheckFailed, match=r"SHA512SUMS .*404"):
        pulled(shelf, host)


def test_a_transfer_that_hardly_goes_on_is_begun_again(shelf: Shelf, host: ImageHost) -> None:
    part, said, minutes = shelf.folder / "x.part", list[str](), itertools.count(0.0, 61.0)
    shelf.folder.mkdir()
    host.publish(FOLDER, "little", bytes(1000))
    fetch(f"{host.url}{FOLDER}/little", part, said.append, clock=Clock(lambda: next(minutes), lambda seconds: None))
    assert any("64 KiB in 60 s" in line for line in said)
    assert host.times("little") == 2
    assert part.read_bytes() == bytes(1000)


def test_a_busy_host_is_asked_again(shelf: Shelf, host: ImageHost, waits: FakeClock) -> None:
    part = shelf.folder / "x.part"
    shelf.folder.mkdir()
    host.errors = [503, 502]
    fetch(f"{host.url}{FOLDER}/{NAME}", part, silent, clock=Clock(waits.now, waits.sleep))
    assert part.read_bytes() == disk()


def test_with_no_host_in_reach_the_way_without_one_is_named(shelf: Shelf) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        mirror = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(Unreachable, match="connection refused") as caught:
            pull(shelf, "debian-13", arch="x86_64", mirror=mirror)
    assert "pymachine image build debian-13 --with-engine" in str(caught.value.hint)
    assert "PYMACHINE_IMAGE_MIRROR" in str(caught.value.hint)


def test_two_at_once_download_once(shelf: Shelf, host: ImageHost) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, two = (pool.submit(pulled, shelf, host) for _ in range(2))
        assert one.result(LIMIT) == two.result(LIMIT)
    assert host.times(NAME) == 1


def test_a_url_with_its_digest_is_checked_and_fetched_once(shelf: Shelf, host: ImageHost) -> None:
    url = f"{host.url}{FOLDER}/{NAME}#sha256={hashlib.sha256(disk()).hexdigest()}"
    image = resolve(shelf, url, arch="x86_64")
    assert resolve(shelf, url, arch="x86_64") == image
    assert host.times(NAME) == 1
    assert image.name.startswith("debian-13-genericcloud-amd64-")
    with pytest.raises(CheckFailed, match="fetched before"):
        resolve(shelf, f"{host.url}{FOLDER}/{NAME}#sha256={'0' * 64}", arch="x86_64")


def test_a_url_without_a_digest_says_that_nothing_was_checked(shelf: Shelf, host: ImageHost) -> None:
    said: list[str] = []
    resolve(shelf, f"{host.url}{FOLDER}/{NAME}", arch="x86_64", progress=said.append)
    assert any("#sha256=…" in line for line in said)


@pytest.mark.parametrize("url", ["ftp://host/disk.img", "https://", "http://user:word@127.0.0.1/disk.img"])
def test_addresses_that_cannot_be_fetched_are_refused(shelf: Shelf, url: str) -> None:
    with pytest.raises(UsageFault):
        resolve(shelf, url, arch="x86_64")


def test_a_page_in_place_of_an_image_is_no_image(shelf: Shelf, host: ImageHost) -> None:
    host.files["/page.img"] = b"<html>" * MIB
    with pytest.raises(CheckFailed, match=r"page\.img .*disk image"):
        resolve(shelf, f"{host.url}/page.img", arch="x86_64")
    assert not list(shelf.folder.glob("*.img"))
    assert not list(shelf.folder.glob("*.part"))


def test_a_file_is_copied_once_and_again_when_it_changed(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "My Disk.raw"
    file.write_bytes(disk())
    first = resolve(shelf, str(file), arch="x86_64")
    assert first.name.startswith("my-disk-")
    assert first.path.read_bytes() == disk()
    assert resolve(shelf, str(file), arch="x86_64") == first
    file.write_bytes(disk(4 * MIB))
    assert resolve(shelf, str(file), arch="x86_64").path.read_bytes() == disk(4 * MIB)


def test_holes_of_a_file_stay_holes(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "sparse.raw"
    file.write_bytes(disk(MIB))
    os.truncate(file, 200 * MIB)
    image = resolve(shelf, str(file), arch="x86_64")
    assert image.size == 200 * MIB
    assert image.path.stat().st_blocks * 512 < 8 * MIB


def test_an_overlay_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    base, top = tmp_path / "base.raw", tmp_path / "top.qcow2"
    base.write_bytes(disk())
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw", str(top)]
    subprocess.run(words, check=True, timeout=LIMIT)
    with pytest.raises(CheckFailed, match="overlay"):
        resolve(shelf, str(top), arch="x86_64")


@pytest.mark.parametrize("options", ["compat=1.1", "compat=0.10", "cluster_size=512", "cluster_size=2M"])
def test_what_qemu_makes_is_read_as_qemu_reads_it(shelf: Shelf, tmp_path: Path, options: str) -> None:
    file = tmp_path / "disk.qcow2"
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(file), "7G"]
    subprocess.run(words, check=True, timeout=LIMIT)
    image = resolve(shelf, str(file), arch="x86_64")
    assert (image.format, image.virtual_size) == ("qcow2", 7 << 30)


def test_an_image_built_here_stands_for_its_alias(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "disk.raw"
    file.write_bytes(disk())
    built = import_file(shelf, file, "debian-13-docker", arch="x86_64", digest=None)
    assert resolve(shelf, "debian-13", arch="x86_64") == built
    own = import_file(shelf, file, "debian-13", arch="x86_64", digest=None)
    assert resolve(shelf, "debian-13", arch="x86_64") == own


def test_an_image_for_other_processors_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "disk.raw"
    file.write_bytes(disk())
    import_file(shelf, file, "arm", arch="arm64", digest=None)
    with pytest.raises(CheckFailed, match="image arm is for aarch64"):
        resolve(shelf, "arm", arch="x86_64")


def test_an_unknown_word_is_refused(shelf: Shelf) -> None:
    with pytest.raises(UsageFault, match="no image 'nothing'"):
        resolve(shelf, "nothing", arch="x86_64")


def test_a_process_that_was_killed_leaves_no_image_and_no_lock(shelf: Shelf, host: ImageHost) -> None:
    host.cuts = [MIB] + [0] * 50
    script = "import sys; from pathlib import Path; from pymachine_kvm.images.cache import Shelf\n"
    script += "from pymachine_kvm.images.pull import pull\n"
    script += "pull(Shelf(Path(sys.argv[1])), 'debian-13', arch='x86_64', mirror=sys.argv[2])\n"
    with subprocess.Popen([sys.executable, "-c", script, shelf.folder, host.url]) as process:
        end = time.monotonic() + LIMIT
        while host.times(NAME) < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert shelf.find("debian-13") is None
    assert (shelf.folder / "debian-13.part").stat().st_size == MIB
    host.cuts, host.asked = [], []
    assert pulled(shelf, host).path.read_bytes() == disk()
    assert (f"{FOLDER}/{NAME}", f"bytes={MIB}-") in host.asked


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, timeout=LIMIT)
    if mounted.returncode:
        pytest.skip("a small disk takes root to make")
    yield folder
    subprocess.run(["umount", folder], check=True, timeout=LIMIT)


def test_a_full_disk_is_said_and_leaves_no_image(small: Path, host: ImageHost) -> None:
    shelf = Shelf(small, {})
    with pytest.raises(PymachineError, match="no space") as caught:
        pulled(shelf, host)
    assert "PYMACHINE_IMAGES" in str(caught.value.hint)
    assert shelf.find("debian-13") is None
