"""The owner's user-data: what is read of it, what is refused, and what comes of it beside ours."""

from __future__ import annotations

import email
from typing import Any, cast

import pytest
import yaml

from pymachine.cloudinit import Theirs, UserData, UserDataPart, multipart, read_theirs, user_data
from pymachine.driver import FirstBoot, Login
from pymachine.errors import UsageFault

LOGIN = Login("ssh-ed25519 AAAALOGIN", "ssh-ed25519 AAAAHOST", b"PEM\n")
OURS = UserData("node1", "admin", LOGIN, FirstBoot((), "true", early=True))


def read(text: str) -> Theirs:
    return read_theirs(text, "user.yaml")


def merged(text: str, ours: UserData = OURS) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(user_data(ours, read(f"#cloud-config\n{text}")))
    return config


def parts_of(text: str) -> list[tuple[str, str | None, str]]:
    leaves = [part for part in email.message_from_string(text).walk() if not part.is_multipart()]
    contents = [cast(bytes, part.get_payload(decode=True)).decode() for part in leaves]
    return [(part.get_content_type(), part.get_filename(), text) for part, text in zip(leaves, contents, strict=True)]


# what comes of both


@pytest.mark.parametrize("key", ["runcmd", "bootcmd", "write_files"])
def test_lists_are_joined_with_ours_first(key: str) -> None:
    before = yaml.safe_load(user_data(OURS))[key]
    assert merged(f"{key}: [[echo, a], [echo, b]]")[key] == [*before, ["echo", "a"], ["echo", "b"]]


def test_mappings_are_merged_and_the_owners_scalars_win() -> None:
    config = merged("apt: {http_proxy: 'http://proxy:3142'}\npackage_upgrade: true\nhostname: other\n")
    assert config["apt"]["http_proxy"] == "http://proxy:3142"
    assert "Lock::Timeout" in config["apt"]["conf"]
    assert config["package_upgrade"] is True
    assert config["hostname"] == "other"


def test_what_lets_us_in_cannot_be_changed() -> None:
    root = UserData("node1", "root", LOGIN)
    config = merged(
        "disable_root: true\nssh_deletekeys: false\nssh_keys: {ed25519_public: x, rsa_private: y}\n", root
    )
    assert config["disable_root"] is False
    assert config["ssh_deletekeys"] is True
    assert config["ssh_keys"]["ed25519_public"] == "ssh-ed25519 AAAAHOST"
    assert config["ssh_keys"]["rsa_private"] == "y"


def test_root_may_be_opened_where_it_is_not_our_account() -> None:
    assert merged("disable_root: false")["disable_root"] is False


def test_other_accounts_are_added() -> None:
    users = merged("users: [default, {name: ci}]")["users"]
    assert [user if isinstance(user, str) else user["name"] for user in users] == ["admin", "default", "ci"]
    assert merged("users: 'default, ci'")["users"][1:] == ["default", "ci"]


def test_the_account_of_ours_can_be_given_more_but_keeps_its_rights() -> None:
    text = "users: [{name: admin, shell: /bin/zsh, sudo: null, groups: [adm], ssh_authorized_keys: [other]}]"
    (account,) = merged(text)["users"]
    assert account["shell"] == "/bin/zsh"
    assert account["groups"] == ["admin", "adm"]
    assert account["ssh_authorized_keys"] == ["ssh-ed25519 AAAALOGIN", "other"]
    assert account["sudo"] == "ALL=(ALL) NOPASSWD:ALL"


def test_keys_for_the_machine_open_our_account_too() -> None:
    (account,) = merged("ssh_authorized_keys: [second]")["users"]
    assert account["ssh_authorized_keys"] == ["ssh-ed25519 AAAALOGIN", "second"]


def test_a_key_without_a_value_says_nothing() -> None:
    assert merged("users:\nruncmd:\nssh_authorized_keys:\n") == {
        **yaml.safe_load(user_data(OURS)),
        "ssh_authorized_keys": None,
    }


@pytest.mark.parametrize(
    "text", ["runcmd: reboot", "users: {a: b}", "apt: yes", "ssh_authorized_keys: a", "ssh_keys: 1"]
)
def test_a_value_of_the_wrong_kind_is_named(text: str) -> None:
    with pytest.raises(UsageFault, match=rf"user.yaml: {text.partition(':')[0]} .*(list|mapping)"):
        merged(text)


def test_merging_leaves_what_was_read_as_it_was() -> None:
    theirs = read("#cloud-config\nusers: [{name: admin, groups: [adm]}]\nruncmd: [[a]]\n")
    assert user_data(OURS, theirs) == user_data(OURS, theirs)


# other kinds


def test_a_script_travels_beside_our_config_and_runs_after_it() -> None:
    script = "#!/bin/sh\necho Grüße\n"
    ours, theirs = parts_of(user_data(OURS, read(script)))
    assert (ours[0], ours[2]) == ("text/cloud-config", user_data(OURS))
    assert theirs == ("text/x-shellscript", "user-script", script)
    assert str(theirs[1]) > "runcmd"  # run-parts sorts them


def test_the_configs_within_mime_are_merged_and_the_rest_travels() -> None:
    text = multipart(
        (
            UserDataPart("text/cloud-config", "#cloud-config\npackages: [jq]\n", "a"),
            UserDataPart("text/x-shellscript", "#!/bin/sh\n", "b"),
            UserDataPart("text/cloud-config", "#cloud-config\npackages: [git]\nruncmd: [[x]]\n", "c"),
            UserDataPart("text/plain", "#cloud-boothook\n", "d"),
        )
    ).decode()
    ours, *rest = parts_of(user_data(OURS, read(text)))
    config = yaml.safe_load(ours[2])
    assert config["packages"] == ["jq", "git"]
    assert config["runcmd"][-1] == ["x"]
    assert [(kind, name) for kind, name, _ in rest] == [
        ("text/x-shellscript", "user-b"),
        ("text/cloud-boothook", "user-d"),
    ]


def test_nothing_given_is_nothing_read() -> None:
    assert read(" \n") == Theirs()
    assert user_data(OURS, read("#cloud-config\n# to do\n")) == user_data(OURS)


@pytest.mark.parametrize(
    "text", ["\ufeff#cloud-config\na: 1\n", "#cloud-config \na: 1\n", "#cloud-config\n---\na: 1\n"]
)
def test_a_header_on_the_first_line_is_enough(text: str) -> None:
    ((_, config),) = read(text).configs
    assert config == {"a": 1}


# what is refused


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n#cloud-config\n", 2),
        ("---\n#cloud-config\n", 2),
        ("# mine\n\n#cloud-config\n", 3),
        (" #cloud-config\n", 1),
        ("\n\n#!/bin/sh\n", 3),
    ],
)
def test_a_header_that_cloud_init_would_overlook_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(UsageFault, match=f"user.yaml, line {line}: #.* first line"):
        read(text)


@pytest.mark.parametrize("text", ["packages: [jq]\n", "hello", "#cloud-configuration\n"])
def test_a_text_of_no_known_kind_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match=r"user\.yaml"):
        read(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1\nb: 2\n", "line 3, column 2"),
        ("a: 1\n\tb: 2\n", "line 3, column 1"),
        ("a: !!python/object:x.Y {}\n", "line 2, column 4"),
        ("a: 1\n---\nb: 2\n", "line 3, column 1"),
        ("a: \x01\n", " YAML"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(UsageFault, match=place):
        read(f"#cloud-config\n{text}")


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "3\n"])
def test_a_config_that_holds_no_keys_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="keys and"):
        read(f"#cloud-config\n{text}")


@pytest.mark.parametrize(
    "first", ["## template: jinja", "#include", "#include-once", "#cloud-config-archive", "#cloud-config-jsonp"]
)
def test_what_cannot_be_merged_here_is_refused_with_the_reason(first: str) -> None:
    with pytest.raises(UsageFault, match=f"user.yaml, line 1: {first}: .+"):
        read(f"{first}\n#cloud-config\n")


TEMPLATED = "## template: jinja\n#!/bin/sh\necho {{ v1.region }}\n"


def test_a_template_of_a_script_is_carried_for_the_machine_to_render() -> None:
    for text in (TEMPLATED, multipart([UserDataPart("text/jinja2", TEMPLATED, "a")]).decode()):
        (part,) = read(text).parts
        assert (part.kind, part.text) == ("text/jinja2", TEMPLATED)


@pytest.mark.parametrize("frequency", ["boot", "instance", "once"])
def test_a_script_keeps_how_often_it_runs(frequency: str) -> None:
    kind = f"text/x-shellscript-per-{frequency}"
    (part,) = read(multipart([UserDataPart(kind, "#!/bin/sh\n", "a")]).decode()).parts
    assert part.kind == kind


def test_a_template_within_mime_is_refused_as_well() -> None:
    text = multipart([UserDataPart("text/cloud-config", "## template: jinja\n#cloud-config\n", "a")]).decode()
    with pytest.raises(UsageFault, match=r"user.yaml, part 1, line 1: ## template"):
        read(text)


def test_a_part_of_a_foreign_type_is_refused() -> None:
    with pytest.raises(UsageFault, match="part 1: type text/html"):
        read(multipart([UserDataPart("text/html", "<p>", "a")]).decode())


@pytest.mark.parametrize("text", ["power_state: {mode: reboot}", "package_reboot_if_required: true"])
def test_what_would_restart_the_machine_in_the_middle_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="set-up"):
        read(f"#cloud-config\n{text}\n")
    assert read("#cloud-config\npackage_reboot_if_required: false\n").configs
