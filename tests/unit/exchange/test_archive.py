"""The file of an export: what comes back, and every file that is refused as a whole."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymachine.errors import CheckFailed
from pymachine.exchange.archive import MEMBER_LIMIT, SIZE_LIMIT, ExportedLogin, ExportedMachine, pack, unpack
from pymachine.model import Endpoint

KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJe0S4yS5PyN1Y4yjxJkzMEz1nPUKIiDbkSgXrnJ8V9K"
WEB = ExportedMachine(
    "web", "aws", Endpoint("192.0.2.7", 2377), ExportedLogin("192.0.2.7", 2222, "ann", KEY_LINE, "root@bastion:22"),
    "26.1.5", ("192.0.2.7",), {"rôle": "wörker"}, {"ca.pem": b"a", "cert.pem": b"c", "key.pem": b"k"},
)  # fmt: skip
BARE = ExportedMachine("bare", "none", Endpoint("2001:db8::5"))
MANIFEST = {"kind": "pymachine export", "version": 1, "created": "2026-12-01", "machines": ["m"]}
RECORD = {"driver": "ssh", "endpoint": {"host": "192.0.2.7", "port": 2376}}
NOT_TEXT = object()


def test_what_was_packed_comes_back() -> None:
    assert unpack(pack([WEB, BARE], "2026-12-01T00:00:00+00:00")) == [WEB, BARE]


def archive(files: Mapping[str, bytes | tarfile.TarInfo], **settings: Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **settings) as made:
        for path, content in files.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(path)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return out.getvalue()


def whole(manifest: Any = MANIFEST, record: Any = RECORD, **more: bytes | tarfile.TarInfo) -> bytes:
    files = {"manifest.json": json.dumps(manifest).encode(), "machines/m/machine.json": json.dumps(record).encode()}
    return archive({**files, **more})


def link(kind: bytes, name: str = "machines/m/ca.pem") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/shadow"
    return member


def test_the_least_that_is_valid() -> None:
    assert unpack(whole()) == [ExportedMachine("m", "ssh", Endpoint("192.0.2.7"))]


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", "machines/m/../../x", "machines/../ca.pem", "machines/m/other.pem",
     "machines/m/sub/ca.pem",
     "machines//ca.pem", "./manifest.json", "machines/m/ca.pem\n", "machines/m", "machines/n/ca.pem"],
)  # fmt: skip
def test_a_path_that_does_not_belong_there_is_refused(path: str) -> None:
    with pytest.raises(CheckFailed):
        unpack(whole(**{path: b"x"}))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE], ids=repr
)
def test_links_devices_and_folders_are_refused(kind: bytes) -> None:
    with pytest.raises(CheckFailed):
        unpack(whole(**{"machines/m/ca.pem": link(kind)}))


def test_what_is_too_large_twice_or_missing_is_refused() -> None:
    twice = io.BytesIO()
    with tarfile.open(fileobj=twice, mode="w") as made:
        for _ in range(2):
            member = tarfile.TarInfo("manifest.json")
            member.size = 2
            made.addfile(member, io.BytesIO(b"{}"))
    for data in (
        whole(**{"machines/m/ca.pem": b"x" * (MEMBER_LIMIT + 1)}),
        twice.getvalue(),
        archive({"manifest.json": json.dumps(MANIFEST).encode()}),
        archive({"machines/m/machine.json": json.dumps(RECORD).encode()}),
        b"x" * (SIZE_LIMIT + 1),
        b"",
        b"not a tar",
        whole()[:700],
    ):
        with pytest.raises(CheckFailed):
            unpack(data)


@pytest.mark.parametrize(
    "changes",
    [{"version": 2}, {"version": 0}, {"version": True}, {"kind": "other"}, {"machines": []}, {"machines": ["m", "M"]},
     {"machines": ["../m"]}, {"machines": "m"}, {"machines": [1]}, {"created": None}],
    ids=repr,
)  # fmt: skip
def test_another_list_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CheckFailed):
        unpack(whole({**MANIFEST, **changes}))


LOGIN = {"host": "192.0.2.7", "port": 22, "user": "root", "host_key": KEY_LINE}


@pytest.mark.parametrize(
    "changes",
    [{"endpoint": {"host": "-x", "port": 2376}}, {"endpoint": {"host": "h", "port": 0}}, {"endpoint": None},
     {"driver": 7}, {"addresses": ["a b"]}, {"labels": {"a": "x" * 300}},
     {"labels": dict.fromkeys(map(str, range(300)), "")},
     {"engine_version": "9" * 300}, {"files": {"ca.pem": "x"}}, {"login": {**LOGIN, "user": "-oProxyCommand=x"}},
     {"login": {**LOGIN, "host": "-x"}}, {"login": {**LOGIN, "host_key": "x"}}, {"login": {**LOGIN, "jump": "a,-b"}},
     {"login": {**LOGIN, "port": "22"}}, {"login": {"host": "h"}}],
    ids=lambda changes: repr(changes)[:60],
)  # fmt: skip
def test_a_record_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    assert unpack(whole(record={**RECORD, "login": LOGIN}))
    with pytest.raises(CheckFailed):
        unpack(whole(record={**RECORD, **changes}))


@given(st.binary(max_size=2048), st.integers(0, 4000))
def test_any_damage_is_one_error(noise: bytes, place: int) -> None:
    data = bytearray(pack([WEB], "2026-12-01"))
    data[place : place + len(noise)] = noise
    with suppress(CheckFailed):
        assert all(isinstance(one, ExportedMachine) for one in unpack(bytes(data)))
