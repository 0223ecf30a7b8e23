"""Pools come up, disks stand on bases and are never too small, and images travel whole with their holes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pymachine.errors import CheckFailed, DriverError
from pymachine_kvm.base_images import base_format, base_name, base_names, base_users, drop_base, has_base
from pymachine_kvm.images.image import Image
from pymachine_kvm.storage import (
    backing_path,
    ensure_pool,
    find_volume,
    folder_of,
    make_disk,
    make_volume,
    remove_volume,
    require_room,
    room,
    volume_path,
)
from pymachine_kvm.upload import CHUNK, Piece, pieces_of, pieces_of_image
from unit.libvirt_node import NODE1, domain, node

MIB = 1 << 20
BASE = "pymachine-base-0123456789abcdef.qcow2"
VM = NODE1.with_(base=BASE)


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def pool_xml(name: str, kind: str = "dir") -> str:
    return f"<pool type='{kind}'><name>{name}</name><target><path>/srv/{name}</path></target></pool>"


def ignore(text: str) -> None:
    """Nobody listens."""


# -- pools --


def test_the_default_pool_is_made_where_libvirt_keeps_images(tmp_path: Path) -> None:
    notices: list[str] = []
    with node(tmp_path) as connection:
        pool = ensure_pool(connection, "default", notices.append)

        assert (pool.isActive(), pool.autostart(), folder_of(pool)) == (1, 1, "/var/lib/libvirt/images")
        assert notices[0].endswith("pool 'default' at /var/lib/libvirt/images")


def test_a_pool_that_runs_is_not_worth_a_word(tmp_path: Path) -> None:
    notices: list[str] = []
    with node(tmp_path, pool_xml("fast")) as connection:
        ensure_pool(connection, "fast", ignore)
        ensure_pool(connection, "fast", notices.append)

    assert notices == []


def test_another_missing_pool_is_refused_with_those_there_are(tmp_path: Path) -> None:
    said = "'slow' in libvirt; existing pools: fast"
    with node(tmp_path, pool_xml("fast")) as connection, pytest.raises(CheckFailed, match=said) as refused:
        ensure_pool(connection, "slow", ignore)
    assert "virsh" in str(refused.value.hint)


def test_a_pool_without_files_is_refused(tmp_path: Path) -> None:
    source = "<source><name>vg</name></source>"
    logical = f"<pool type='logical'><name>vg</name>{source}<target><path>/dev/vg</path></target></pool>"
    with node(tmp_path, logical) as connection, pytest.raises(CheckFailed, match="type logical"):
        ensure_pool(connection, "vg", ignore)


def test_too_little_room_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        pool = ensure_pool(connection, "default", ignore)
        free = room(pool)
        require_room(pool, free, "the image")
        with pytest.raises(CheckFailed, match=r"has 102,400 MiB left, the image needs 102,401 MiB"):
            require_room(pool, free + MIB, "the image")


# -- disks --


def test_a_disk_stands_on_its_base_and_is_as_large_as_wanted(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        pool = ensure_pool(connection, "default", ignore)
        base = make_volume(pool, BASE, 2 * MIB, format="qcow2")
        path = make_disk(pool, VM, 5 * MIB)
        disk = find_volume(pool, VM.disk)

        assert path == disk.path() == volume_path(pool, VM.disk)
        assert (backing_path(disk), disk.info()[1]) == (base.path(), 5 * MIB)


def test_making_a_disk_again_keeps_the_one_that_may_have_booted(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        pool = ensure_pool(connection, "default", ignore)
        make_volume(pool, BASE, 2 * MIB, format="qcow2")
        make_disk(pool, VM, 5 * MIB)
        make_disk(pool, VM, 7 * MIB)

        assert find_volume(pool, VM.disk).info()[1] == 5 * MIB


def test_a_disk_on_another_base_is_made_anew(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        pool = ensure_pool(connection, "default", ignore)
        make_volume(pool, BASE, 2 * MIB, format="qcow2")
        other = make_volume(pool, "pymachine-base-ff.raw", 2 * MIB)
        make_disk(pool, VM, 5 * MIB)
        make_disk(pool, VM.with_(base="pymachine-base-ff.raw"), 7 * MIB)
        disk = find_volume(pool, VM.disk)

        assert (backing_path(disk), disk.info()[1]) == (other.path(), 7 * MIB)


def test_a_disk_smaller_than_its_image_is_refused_with_both_sizes(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        pool = ensure_pool(connection, "default", ignore)
        make_volume(pool, BASE, 3 * MIB, format="qcow2")
        with pytest.raises(CheckFailed, match=r" 2 MiB .* 3 MiB"):
            make_disk(pool, VM, 2 * MIB)

        assert find_volume(pool, VM.disk) is None


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        pool = ensure_pool(connection, "default", ignore)
        make_volume(pool, "x", 1)

        assert [remove_volume(pool, "x"), remove_volume(pool, "x")] == [True, False]
        with pytest.raises(DriverError, match="volume 'x' in pool 'default'"):
            volume_path(pool, "x")


# -- bases --


def image_of(path: Path, content: bytes, format: str = "qcow2") -> Image:
    path.write_bytes(content)
    return Image("img", path, hashlib.sha256(content).hexdigest(), format, len(content), len(content))


def test_a_base_is_complete_only_with_its_mark(tmp_path: Path) -> None:
    image = image_of(tmp_path / "img", b"x")
    with node(tmp_path) as connection:
        pool = ensure_pool(connection, "default", ignore)
        make_volume(pool, base_name(image), 1, format="qcow2")
        half = has_base(pool, image)
        make_volume(pool, base_name(image) + ".ok", 0)

        assert (half, has_base(pool, image)) == (False, True)


def test_a_base_is_named_by_digest_and_format(tmp_path: Path) -> None:
    image = image_of(tmp_path / "img", b"x", "raw")

    assert base_name(image) in base_names(image.digest)
    assert base_format(base_name(image)) == "raw"


def test_a_base_goes_only_when_nothing_stands_on_it(tmp_path: Path) -> None:
    with node(tmp_path) as connection:
        pool = ensure_pool(connection, "default", ignore)
        make_volume(pool, BASE, MIB, format="qcow2")
        make_volume(pool, BASE + ".ok", 0)
        path = make_disk(pool, VM, MIB)
        make_disk(pool, VM.with_(disk="lost.qcow2"), MIB)
        disk = f"<disk type='file'><source file='{path}'/><target dev='vda'/></disk>"
        guest = connection.defineXML(domain("node1", VM.uuid, disk))

        assert base_users(connection, pool, BASE) == ("lost.qcow2", "node1")
        with pytest.raises(CheckFailed, match=r"by lost\.qcow2, node1"):
            drop_base(connection, pool, BASE)
        guest.undefine()
        remove_volume(pool, "lost.qcow2")
        remove_volume(pool, VM.disk)

        assert [drop_base(connection, pool, BASE), drop_base(connection, pool, BASE)] == [True, False]
        assert pool.listVolumes() == []


# -- uploads --


def whole(pieces: list[Piece]) -> bytes:
    return b"".join(bytes(piece) for piece in pieces)


def test_bytes_travel_in_pieces_that_fit_a_message() -> None:
    content = os.urandom(2 * CHUNK + 7)
    pieces = list(pieces_of(content))

    assert whole(pieces) == content
    assert max(len(piece) for piece in pieces if isinstance(piece, bytes)) == CHUNK


def test_holes_do_not_travel_and_nothing_else_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "img"
    with file.open("wb") as out:
        out.truncate(8 * MIB)
        out.seek(3 * MIB)
        out.write(os.urandom(MIB))
    image = Image("img", file, hashlib.sha256(file.read_bytes()).hexdigest(), "raw", 8 * MIB, 8 * MIB)
    passed: list[tuple[int, int]] = []
    pieces = list(pieces_of_image(image, lambda done, travelled: passed.append((done, travelled))))

    assert whole(pieces) == file.read_bytes()
    assert passed[-1] == (8 * MIB, MIB)
    assert sum(piece for piece in pieces if isinstance(piece, int)) == 7 * MIB


def test_an_image_that_changed_since_it_was_verified_is_found_out(tmp_path: Path) -> None:
    image = image_of(tmp_path / "img", b"verified")
    image.path.write_bytes(b"tampered")

    with pytest.raises(DriverError, match="verified"):
        list(pieces_of_image(image, lambda _done, _travelled: None))


def test_an_empty_image_has_no_pieces(tmp_path: Path) -> None:
    assert list(pieces_of_image(image_of(tmp_path / "img", b""), lambda _done, _travelled: None)) == []
