"""The shelf holds whole images only, and notices when one is no longer what was put there."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.errors import CheckFailed, PymachineError, UsageFault
from pymachine_kvm.images.cache import Shelf
from pymachine_kvm.images.image import Image, ImageFacts

DISK = bytes(510) + b"\x55\xaa" + bytes(1 << 20)


def put(shelf: Shelf, name: str, content: bytes = DISK, known: ImageFacts | None = None) -> Image:
    with shelf.place(name) as place:
        place.part.write_bytes(content)
        return place.settle(known or ImageFacts(), "the test's disk")


def begin(shelf: Shelf, error: BaseException, *, resume: bool = False) -> None:
    """Write a first piece of image ``one``, and be stopped by an error."""
    with shelf.place("one", resume=resume) as place:
        place.part.write_bytes(DISK[:100])
        raise error


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


def test_an_image_is_found_with_all_that_is_known_of_it(shelf: Shelf) -> None:
    known = ImageFacts("aarch64", "ID=debian\n", "26.1.5", "somewhere")
    made = put(shelf, "one", known=known)
    found = shelf.find("one")
    assert found == made
    assert (found.arch, found.os_release, found.engine, found.origin) == (
        "aarch64",
        "ID=debian\n",
        "26.1.5",
        "somewhere",
    )
    assert (found.format, found.size, found.virtual_size) == ("raw", len(DISK), len(DISK))
    assert found.digest == hashlib.sha256(DISK).hexdigest()
    assert found.created.endswith("+00:00")
    assert shelf.list() == [made]


def test_an_image_can_be_read_by_all_and_written_by_nobody(shelf: Shelf) -> None:
    assert put(shelf, "one").path.stat().st_mode & 0o777 == 0o444


def test_what_is_not_there_is_none(shelf: Shelf) -> None:
    assert shelf.find("one") is None
    assert shelf.find("/etc/passwd") is None
    assert shelf.list() == []


def test_nothing_is_left_of_an_image_that_was_not_finished(shelf: Shelf) -> None:
    with pytest.raises(KeyboardInterrupt):
        begin(shelf, KeyboardInterrupt())
    assert shelf.find("one") is None
    assert [path.name for path in shelf.folder.iterdir()] == []


def test_what_is_no_image_is_thrown_away(shelf: Shelf) -> None:
    with pytest.raises(CheckFailed, match=r"the test's disk .*disk image"):
        put(shelf, "one", b"#!/bin/sh\n")
    assert [path.name for path in shelf.folder.iterdir()] == []


def test_a_download_to_be_resumed_is_kept(shelf: Shelf) -> None:
    with pytest.raises(PymachineError, match="cut off"):
        begin(shelf, PymachineError("cut off"), resume=True)
    assert (shelf.folder / "one.part").stat().st_size == 100
    assert shelf.find("one") is None


def test_a_taken_name_is_refused_unless_it_is_as_good(shelf: Shelf) -> None:
    made = put(shelf, "one")
    with pytest.raises(CheckFailed, match="image one "):
        put(shelf, "one")
    with shelf.place("one", reuse=True) as place:
        assert place.there == made


def test_two_at_once_make_it_once(shelf: Shelf) -> None:
    both = threading.Barrier(2)
    made: list[bytes] = []
    waited: list[str] = []

    def create(content: bytes) -> Image:
        both.wait(LIMIT)
        with shelf.place("one", waited.append, reuse=True) as place:
            if place.there is not None:
                return place.there
            both_know.wait(LIMIT)
            made.append(content)
            place.part.write_bytes(content)
            return place.settle(ImageFacts(), "disk")

    both_know = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(create, DISK), pool.submit(create, DISK + DISK)
        while not waited:
            assert not first.done()
            assert not second.done()
            time.sleep(0.01)
        both_know.set()
        assert first.result(LIMIT) == second.result(LIMIT)
    assert len(made) == 1
    assert waited[0].startswith("waiting ")


def test_a_file_that_was_changed_is_not_used(shelf: Shelf) -> None:
    path = put(shelf, "one").path
    path.chmod(0o644)
    path.write_bytes(DISK[:-1] + b"x")
    with pytest.raises(CheckFailed, match="image one ") as caught:
        shelf.find("one")
    assert "image rm one" in str(caught.value.hint)


def test_a_file_that_was_only_touched_is_read_once_and_used(shelf: Shelf) -> None:
    made = put(shelf, "one")
    os.utime(made.path, ns=(1, 1))
    assert shelf.find("one") == made
    assert '"mtime": 1' in (shelf.folder / "one.json").read_text()


def test_a_change_that_keeps_size_and_time_is_found_on_demand(shelf: Shelf) -> None:
    made = put(shelf, "one")
    before = made.path.stat()
    made.path.chmod(0o644)
    made.path.write_bytes(DISK[:-1] + b"x")
    os.utime(made.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shelf.find("one") == made
    with pytest.raises(CheckFailed, match="was changed"):
        shelf.verify(made)


def test_damaged_documents_do_not_hide_the_others(shelf: Shelf) -> None:
    made = put(shelf, "one")
    (shelf.folder / "two.json").write_text("{")
    (shelf.folder / "three.json").write_text("[]")
    (shelf.folder / "four.json").write_text('{"name": "four"}')
    assert shelf.list() == [made]
    assert shelf.find("two") is None


def test_removing_takes_all_of_it_and_of_attempts(shelf: Shelf) -> None:
    put(shelf, "one")
    (shelf.folder / "one.part").write_bytes(b"half")
    (shelf.folder / "one.part.json").write_text("{}")
    shelf.remove("one")
    assert list(shelf.folder.iterdir()) == []
    with pytest.raises(CheckFailed, match="image one"):
        shelf.remove("one")


@pytest.mark.parametrize("name", ["", "../one", "a/b", "One", ".one", "a" * 81, "one two", "ö"])
def test_names_that_are_no_file_names_are_refused(shelf: Shelf, name: str) -> None:
    with pytest.raises(UsageFault, match="valid"):
        put(shelf, name)
    with pytest.raises(UsageFault, match="valid"):
        shelf.remove(name)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"PYMACHINE_IMAGES": "/srv/images", "HOME": "/home/u"}, "/srv/images"),
        ({"XDG_CACHE_HOME": "/var/cache/u", "HOME": "/home/u"}, "/var/cache/u/pymachine/images"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/u"}, "/home/u/.cache/pymachine/images"),
        ({"HOME": "/home/u"}, "/home/u/.cache/pymachine/images"),
    ],
)
def test_the_environment_says_where_the_shelf_is(environ: dict[str, str], folder: str) -> None:
    assert Shelf.default(environ).folder == Path(folder)


def test_without_a_home_there_is_no_shelf() -> None:
    with pytest.raises(UsageFault, match="HOME"):
        Shelf.default({})


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PymachineError, match=r"file.*not a directory"):
        put(Shelf(tmp_path / "file" / "shelf"), "one")


def test_a_lock_whose_file_was_removed_meanwhile_still_keeps_others_out(shelf: Shelf) -> None:
    waiting = threading.Event()
    inside: list[str] = []

    def second() -> None:
        with shelf.locked("one", lambda text: waiting.set()):
            assert "third" not in inside
            inside.append("second")

    with ThreadPoolExecutor(1) as pool:
        with shelf.locked("one"):
            done = pool.submit(second)
            assert waiting.wait(LIMIT)
            (shelf.folder / "one.lock").unlink()
        done.result(LIMIT)
    assert inside == ["second"]
    assert list(shelf.folder.iterdir()) == []
