"""The seed as a CD: read back with the library, and with a program that knows nothing of us."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from pycdlib import PyCdlib

from pymachine.driver import CarriedFile, FirstBoot, Login
from pymachine.errors import UsageFault
from pymachine_kvm.handle import Vm
from pymachine_kvm.options import KvmOptions, read_options
from pymachine_kvm.seed import check_seed, seed_iso, seed_of

LOGIN = Login("ssh-ed25519 AAAALOGIN", "ssh-ed25519 AAAAHOST", b"PEM\n")
VM = Vm(
    uri="qemu:///system",
    id="0c58dbd200004000800000000000abcd",
    name="node1",
    pool="default",
    disk="node1.qcow2",
    seed="node1.iso",
    mac="52:54:00:00:00:01",
)
NAMES = ["user-data", "meta-data", "network-config"]


def files_on(image: bytes, *, by: str = "rr_path") -> dict[str, bytes]:
    iso = PyCdlib()
    iso.open_fp(BytesIO(image))
    found = {}
    for name in NAMES:
        content = BytesIO()
        iso.get_file_from_iso_fp(content, **{by: f"/{name}"})
        found[name] = content.getvalue()
    iso.close()
    return found


@pytest.mark.parametrize("by", ["rr_path", "joliet_path"])
def test_files_keep_their_names_and_bytes(by: str) -> None:
    files = {name: name.encode() * 5000 for name in NAMES}
    assert files_on(seed_iso(files), by=by) == files


def test_an_empty_file_is_a_file() -> None:
    assert files_on(seed_iso({**dict.fromkeys(NAMES, b"x"), "meta-data": b""}))["meta-data"] == b""


@pytest.mark.skipif(not shutil.which("blkid"), reason="blkid is not installed")
def test_cloud_init_finds_it_by_its_label(tmp_path: Path) -> None:
    image = tmp_path / "seed.iso"
    image.write_bytes(seed_iso({"user-data": b"x"}))
    words = ["blkid", "-p", "-o", "value", "-s", "LABEL", "-s", "TYPE", str(image)]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout.split() == ["cidata", "iso9660"]


def test_only_its_owner_may_read_the_files() -> None:
    iso = PyCdlib()
    iso.open_fp(BytesIO(seed_iso({"user-data": b"x"})))
    record: Any = iso.get_record(rr_path="/user-data")
    assert record.rock_ridge.get_file_mode() == 0o100400
    iso.close()


def test_a_seed_holds_all_that_a_machine_needs_to_know(tmp_path: Path) -> None:
    theirs = tmp_path / "user.yaml"
    theirs.write_text("#cloud-config\npackages: [jq]\n")
    wanted = read_options(KvmOptions(kvm_user_data=str(theirs), kvm_mount=("/home:/srv:ro",)))
    first_boot = FirstBoot((CarriedFile("/run/x", b"y"),), "true")
    files = files_on(seed_of(VM, LOGIN, first_boot, wanted, "i-1", "virtiofs"))
    config = yaml.safe_load(files["user-data"])
    assert config["packages"] == ["jq"]
    assert config["users"][0]["name"] == wanted.user
    assert config["mounts"][0][:3] == ["pymachine0", "/srv", "virtiofs"]
    assert config["write_files"][0]["path"] == "/run/x"
    assert yaml.safe_load(files["meta-data"]) == {"instance-id": "i-1", "local-hostname": "node1"}
    assert "52:54:00:00:00:01" in files["network-config"].decode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n#cloud-config\n", "--kvm-user-data, line 2"),
        ("#cloud-config\nbootcmd: x\n", "--kvm-user-data: bootcmd must"),
    ],
)
def test_a_mistake_in_user_data_is_named_by_its_option_before_anything_is_made(
    text: str, message: str, tmp_path: Path
) -> None:
    theirs = tmp_path / "user.yaml"
    theirs.write_text(text)
    with pytest.raises(UsageFault, match=message):
        check_seed("node1", read_options(KvmOptions(kvm_user_data=str(theirs))))


def test_a_mount_point_that_cannot_be_written_down_is_refused_before_anything_is_made() -> None:
    with pytest.raises(UsageFault, match="blank"):
        check_seed("node1", read_options(KvmOptions(kvm_mount=("/home:/my files",))))


def test_options_as_they_are_pass() -> None:
    check_seed("node1", read_options(KvmOptions()))
