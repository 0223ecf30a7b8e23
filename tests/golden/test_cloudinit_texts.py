"""What cloud-init is given, as committed in tests/golden/cloud-init, and what its own schema says of it."""

from __future__ import annotations

import email
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import cast

import pytest

from pymachine.cloudinit import (
    NOTHING,
    SharedFolder,
    Theirs,
    UserData,
    meta_data,
    network_config,
    read_theirs,
    settings,
    user_data,
)
from pymachine.cloudinit.first_boot import queue_command
from pymachine.cloudinit.settings import FILES
from pymachine.cloudinit.settings import SCRIPT as SETTINGS
from pymachine.driver import CarriedFile, FirstBoot, Login
from pymachine.templates import render

MAC = "52:54:00:AB:CD:EF"
PEM = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb25l\ndHdv\n-----END OPENSSH PRIVATE KEY-----\n"
LOGIN = Login("ssh-ed25519 AAAALOGIN", "ssh-ed25519 AAAAHOST", PEM)
SETUP = FirstBoot(
    (
        CarriedFile("/run/pymachine/0123/run.sh", b"echo set up\n"),
        CarriedFile("/run/pymachine/0123/key.pem", b"KEY\n"),
    ),
    "sh /run/pymachine/0123/run.sh",
)
EARLY = FirstBoot(SETUP.files, SETUP.command, early=True)
FOLDERS = (
    SharedFolder("pymachine0", "/srv/code", read_only=False, filesystem="9p"),
    SharedFolder("pymachine1", "/srv/data", read_only=True, filesystem="virtiofs"),
)
OWNERS = """\
#cloud-config
timezone: Europe/Berlin
manage_etc_hosts: true
packages: [jq, 'docker-compose']
users:
  - default
  - {name: ci, ssh_authorized_keys: [ssh-ed25519 AAAACI]}
  - {name: admin, groups: [adm], lock_passwd: false}
ssh_authorized_keys: [ssh-ed25519 AAAASECOND]
ssh_keys: {ed25519_public: ssh-ed25519 AAAANOTOURS}
write_files:
  - {path: /etc/motd, content: "Grüße\\n", permissions: '0644'}
mounts: [[vdb, /var/lib/docker]]
bootcmd: [echo theirs]
runcmd:
  - docker compose up -d
"""
SCRIPT = "#!/bin/sh\necho Grüße >/root/greeting\n"

# No text depends on the architecture: these are the user-data of x86_64 and of aarch64.
CASES: dict[str, tuple[UserData, str]] = {
    "no-set-up": (UserData("node1", "admin", LOGIN), ""),
    "root": (UserData("node1", "root", LOGIN, SETUP), ""),
    "late": (UserData("node1", "admin", LOGIN, SETUP), ""),
    "early": (UserData("node1", "admin", LOGIN, EARLY), ""),
    "mounts": (UserData("node1", "admin", LOGIN, EARLY, FOLDERS), ""),
    "merged": (UserData("node1", "admin", LOGIN, EARLY, FOLDERS[:1]), OWNERS),
    "script": (UserData("node1", "admin", LOGIN, SETUP), SCRIPT),
}


def text_of(case: str) -> str:
    data, owners = CASES[case]
    return user_data(data, read_theirs(owners, "user.yaml") if owners else NOTHING)


def configs_of(text: str) -> list[str]:
    """The cloud-configs within: the text itself, or parts of it."""
    if text.startswith("#cloud-config\n"):
        return [text]
    parts = [
        part for part in email.message_from_string(text).walk() if part.get_content_type() == "text/cloud-config"
    ]
    return [cast(bytes, part.get_payload(decode=True)).decode() for part in parts]


@pytest.mark.parametrize("case", CASES)
def test_user_data_is_as_committed(case: str, golden: Callable[[str, str], None]) -> None:
    golden(f"cloud-init/{case}.user-data", text_of(case))


def test_the_other_files_of_a_seed_are_as_committed(golden: Callable[[str, str], None]) -> None:
    golden("cloud-init/meta-data", meta_data("0c58dbd2-0000-4000-8000-000000000000", "node1"))
    golden("cloud-init/network-config", network_config(MAC))


@pytest.mark.parametrize("case", ["early", "mounts", "root"])
def test_what_an_image_of_ours_does_instead_is_as_committed(case: str, golden: Callable[[str, str], None]) -> None:
    data = replace(CASES[case][0], first_boot=EARLY)
    files = settings(data, "0c58dbd2-0000-4000-8000-000000000000", MAC)
    golden(f"cloud-init/{case}.settings.sh", files[SETTINGS].decode())
    with tarfile.open(fileobj=BytesIO(files[FILES])) as tar:
        golden(f"cloud-init/{case}.settings.files", "".join(map(partial(told, tar), tar.getmembers())))


def told(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    content = tar.extractfile(entry)
    assert content is not None
    assert (entry.uid, entry.gid) == (0, 0)
    text = content.read().decode() if entry.name.startswith("etc/") else "…\n"
    return f"== /{entry.name} {entry.mode:o}\n{text}"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.skipif(not shutil.which("cloud-init"), reason="cloud-init is not installed: its schema cannot be asked")
def test_cloud_inits_own_schema_accepts_the_user_data(case: str, tmp_path: Path) -> None:
    configs = configs_of(text_of(case))
    assert configs
    for config in configs:
        path = tmp_path / "user-data"
        path.write_text(config)
        check = subprocess.run(["cloud-init", "schema", "-c", path], check=False, capture_output=True, text=True)
        assert check.returncode == 0, check.stdout + check.stderr
        assert "Valid" in check.stdout + check.stderr


@pytest.mark.skipif(not shutil.which("cloud-init"), reason="cloud-init is not installed: its schema cannot be asked")
def test_cloud_inits_own_schema_would_tell_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "user-data"
    path.write_text(user_data(UserData("node1", "admin", LOGIN), Theirs((("x", {"mounts": "vdb"}),))))
    check = subprocess.run(["cloud-init", "schema", "-c", path], check=False, capture_output=True, text=True)
    assert check.returncode == 1


@pytest.mark.parametrize(
    "text",
    [
        render("cloud-init/run.sh.j2", base="/run/x", patience=1),
        queue_command(after=("x.service",)),
        settings(UserData("node1.lan", "admin", LOGIN, EARLY, FOLDERS), "i-1", MAC)[SETTINGS].decode(),
        settings(UserData("node1", "root", Login("k", "", b"")), "i-1", MAC)[SETTINGS].decode(),
    ],
    ids=["run", "queue", "settings", "settings of root"],
)
@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_what_the_host_runs_is_clean_shell(text: str) -> None:
    check = ["shellcheck", "--shell=sh", "--exclude=SC2317", "-"]
    found = subprocess.run(check, input=text, check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
