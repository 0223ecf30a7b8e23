"""Our user-data, and how a set-up travels in it."""

from __future__ import annotations

import base64
import email
import gzip
import io
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from patience import LIMIT
from pymachine.cloudinit import (
    SharedFolder,
    UserData,
    UserDataPart,
    meta_data,
    multipart,
    network_config,
    read_theirs,
    settings,
    user_data,
)
from pymachine.cloudinit.first_boot import first_boot_config
from pymachine.driver import CarriedFile, FirstBoot, Login
from pymachine.errors import UsageFault
from pymachine.templates import render

LOGIN = Login("ssh-ed25519 AAAALOGIN me\n", "ssh-ed25519 AAAAHOST\n", b"-----BEGIN KEY-----\nAA\n-----END KEY-----\n")


def config_of(data: UserData) -> dict[str, Any]:
    text = user_data(data)
    assert text.startswith("#cloud-config\n")
    assert text.isascii()
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def test_the_account_may_become_root_and_has_no_password() -> None:
    account = config_of(UserData("node1", "admin", LOGIN))["users"][0]
    assert account["sudo"] == "ALL=(ALL) NOPASSWD:ALL"
    assert account["lock_passwd"] is True
    assert account["ssh_authorized_keys"] == ["ssh-ed25519 AAAALOGIN me"]


def test_root_is_let_in_by_key_and_made_by_nobody() -> None:
    config = config_of(UserData("node1", "root", LOGIN))
    assert config["disable_root"] is False
    assert "sudo" not in config["users"][0]
    assert "primary_group" not in config["users"][0]


def test_a_name_with_dots_is_kept_whole() -> None:
    assert config_of(UserData("node1.example.org", "admin", LOGIN))["prefer_fqdn_over_hostname"] is True
    assert yaml.safe_load(meta_data("i-1", "node1.example.org")) == {"instance-id": "i-1"}
    # With a plain name it would keep an owner from setting another.
    assert "prefer_fqdn_over_hostname" not in config_of(UserData("node1", "admin", LOGIN))


def test_an_account_named_like_an_existing_group_gets_that_group() -> None:
    account = config_of(UserData("node1", "docker", LOGIN))["users"][0]
    assert account["primary_group"] == "docker"
    assert account["groups"] == ["docker"]


def test_the_host_has_the_key_that_we_know_and_no_other() -> None:
    config = config_of(UserData("node1", "admin", LOGIN))
    private, public = LOGIN.host_private.decode(), "ssh-ed25519 AAAAHOST"
    assert config["ssh_keys"] == {"ed25519_private": private, "ed25519_public": public}
    assert config["ssh_deletekeys"] is True


def test_without_the_hosts_private_key_its_keys_stay_as_they_are() -> None:
    config = config_of(UserData("node1", "admin", replace(LOGIN, host_private=b"")))
    assert config["ssh_deletekeys"] is False
    assert "ssh_keys" not in config


def test_a_host_that_makes_its_own_key_drops_the_images_and_shows_the_new_one_on_the_console() -> None:
    config = config_of(UserData("node1", "ubuntu", Login(LOGIN.public_key, "", b"")))
    assert config["ssh_deletekeys"] is True
    assert not {"ssh_keys", "ssh_genkeytypes", "no_ssh_fingerprints", "ssh"} & config.keys()


def test_the_images_own_account_stays_where_that_is_wanted() -> None:
    users = config_of(UserData("node1", "ubuntu", LOGIN, default_account=True))["users"]
    assert users[0]["name"] == "ubuntu"
    assert users[1:] == ["default"]


def test_no_private_key_shows_in_the_representation() -> None:
    first_boot = FirstBoot((CarriedFile("/run/x", b"hidden"),), "true")
    assert "BEGIN" not in repr(UserData("node1", "admin", LOGIN, first_boot))
    assert "hidden" not in repr(UserData("node1", "admin", LOGIN, first_boot))


def test_shared_folders_never_hold_up_a_boot() -> None:
    folder = SharedFolder("pymachine0", "/srv", read_only=True, filesystem="virtiofs")
    (entry,) = config_of(UserData("node1", "admin", LOGIN, folders=(folder,)))["mounts"]
    assert entry[:3] == ["pymachine0", "/srv", "virtiofs"]
    assert entry[3].split(",") == ["defaults", "ro", "nofail"]


@pytest.mark.parametrize("target", ["/with blank", "/with\ttab", "/with\\backslash"])
def test_a_mount_point_that_fstab_cannot_hold_is_refused(target: str) -> None:
    with pytest.raises(UsageFault, match="blank"):
        SharedFolder("pymachine0", target, read_only=False, filesystem="9p").entry()


def test_carried_files_keep_content_and_mode() -> None:
    file = CarriedFile("/run/pymachine/1/key", bytes(range(256)), 0o640)
    written = first_boot_config(FirstBoot((file,), "true"))["write_files"][0]
    assert base64.b64decode(written["content"]) == file.content
    assert (written["path"], written["permissions"], written["owner"]) == (file.path, "0640", "root:root")


def test_only_an_early_set_up_is_queued_and_any_is_run_at_the_end() -> None:
    late, early = (first_boot_config(FirstBoot((), "true", early=early)) for early in (False, True))
    assert "bootcmd" not in late
    assert early["bootcmd"][0][:3] == ["cloud-init-per", "instance", "pymachine-first-boot"]
    assert late["runcmd"] == early["runcmd"] == [["sh", "/run/pymachine-first-boot.run"]]


def runner(folder: Path, command: str) -> list[str]:
    base = folder / "boot"
    (folder / "boot.command").write_text(command)
    (folder / "boot.run").write_text(render("cloud-init/run.sh.j2", base=base, patience=1))
    return ["sh", str(folder / "boot.run")]


def test_the_command_runs_once_and_its_output_and_code_are_kept_for_root(tmp_path: Path) -> None:
    words = runner(tmp_path, f"echo ran >>{tmp_path}/runs; echo out; echo err >&2; exit 7")
    assert [subprocess.run(words, check=False).returncode for _ in range(3)] == [0, 0, 0]
    assert (tmp_path / "runs").read_text() == "ran\n"
    assert (tmp_path / "boot.log").read_text() == "out\nerr\n"
    assert (tmp_path / "boot.code").read_text() == "7\n"
    assert {(tmp_path / f"boot.{kind}").stat().st_mode & 0o777 for kind in ("log", "code")} == {0o600}


def test_a_command_that_is_no_shell_still_leaves_a_code(tmp_path: Path) -> None:
    subprocess.run(runner(tmp_path, "if then ("), check=True)
    assert int((tmp_path / "boot.code").read_text()) > 0
    assert (tmp_path / "boot.log").read_text()


def test_who_comes_second_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    words = runner(tmp_path, f"until [ -e {tmp_path}/go ]; do sleep 0.05; done")
    first = subprocess.Popen(words)
    while not (tmp_path / "boot.log").exists():
        assert first.poll() is None
    second = subprocess.Popen(words)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.3)  # slow or not, it cannot end before there is a "go"
    (tmp_path / "go").touch()
    assert (first.wait(LIMIT), second.wait(LIMIT)) == (0, 0)


def test_the_interface_is_found_by_its_address_and_names_itself_by_it() -> None:
    config = yaml.safe_load(network_config("52:54:00:AB:CD:EF"))
    (interface,) = config["ethernets"].values()
    assert config["version"] == 2
    assert interface["match"] == {"macaddress": "52:54:00:ab:cd:ef"}
    assert (interface["dhcp4"], interface["dhcp-identifier"]) == (True, "mac")


def test_meta_data_names_instance_and_host_as_text() -> None:
    assert yaml.safe_load(meta_data("1e3", "on")) == {"instance-id": "1e3", "local-hostname": "on"}


def test_the_same_parts_give_the_same_bytes() -> None:
    parts = [
        UserDataPart("text/x-shellscript", "#!/bin/sh\necho ü\n", "one"),
        UserDataPart("text/cloud-config", "#cloud-config\n", "2"),
    ]
    assert multipart(parts) == multipart(parts)
    assert multipart(parts) != multipart(parts[::-1])
    assert multipart(parts).isascii()


@given(st.text(max_size=200) | st.text("\r\n =.\tFromé-", max_size=60))
@example("From me\n--\n.\n")
@example("no end")
@example("of\r\nDOS\r\n")
@example("x" * 5000 + "\n\n")
def test_a_part_arrives_as_it_was_given(text: str) -> None:
    document = multipart(
        [UserDataPart("text/x-shellscript", text, "a"), UserDataPart("text/cloud-config", text, "b")]
    )
    # As cloud-init reads it: from text, not from bytes.
    for part in (part for part in email.message_from_string(document.decode()).walk() if not part.is_multipart()):
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        assert content.decode() == text


def test_a_text_is_not_hidden_from_a_compressor() -> None:
    text = "#!/bin/sh\n" + "".join(f"install --mode 0644 /srv/app/{number}.conf /etc/app/\n" for number in range(900))
    assert len(text) > 41_000
    assert len(gzip.compress(multipart([UserDataPart("text/x-shellscript", text, "a")]))) < len(text) / 5
    assert len(gzip.compress(multipart([UserDataPart("text/x-shellscript", text + "# é", "a")]))) < len(text) / 5


class TestWithoutCloudInit:
    """What an image of ours does in its place."""

    def settings_of(self, **changes: Any) -> dict[str, bytes]:
        return settings(replace(UserData("node1", "admin", LOGIN), **changes), "i-1", "52:54:00:AB:CD:EF")

    def files(self, found: dict[str, bytes]) -> dict[str, tarfile.TarInfo]:
        with tarfile.open(fileobj=io.BytesIO(found["pymachine.tar"])) as tar:
            return {f"/{entry.name}": entry for entry in tar}

    def test_a_set_up_that_needs_no_network_travels(self) -> None:
        early = FirstBoot((CarriedFile("/run/x", b"y"),), "true", early=True)
        found = self.settings_of(first_boot=early)
        assert self.files(found)["/run/x"].mode == 0o600
        assert b"systemd-run" in found["pymachine.sh"]

    def test_it_is_left_to_cloud_init_where_the_set_up_needs_the_network(self) -> None:
        assert self.settings_of(first_boot=FirstBoot((), "true")) == {}

    def test_it_is_left_to_cloud_init_where_the_owner_has_user_data(self) -> None:
        theirs = read_theirs("#cloud-config\npackages: [jq]\n", "x")
        assert settings(UserData("node1", "admin", LOGIN), "i-1", "52:54:00:00:00:01", theirs) == {}

    def test_secrets_are_for_root_and_not_in_the_script(self) -> None:
        found = self.settings_of()
        assert self.files(found)["/etc/ssh/ssh_host_ed25519_key"].mode == 0o600
        assert b"BEGIN" not in found["pymachine.sh"]

    def test_the_seed_that_stays_has_no_secrets_and_leaves_the_host_key_alone(self) -> None:
        found = self.settings_of(login=replace(LOGIN, host_private=b""))
        assert not [path for path in self.files(found) if "ssh_host" in path]
        assert b"ssh_host" not in found["pymachine.sh"]

    def test_root_needs_no_account_and_no_sudo(self) -> None:
        found = self.settings_of(user="root")
        assert b"useradd" not in found["pymachine.sh"]
        assert not [path for path in self.files(found) if "sudoers" in path]
