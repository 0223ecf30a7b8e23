from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from pymachine.errors import UsageFault
from pymachine.transport.host_keys import PublicKey, expected_from, parse_pin


def made(kind: str, seed: bytes) -> PublicKey:
    name = kind.encode()
    body = hashlib.sha256(seed).digest()
    return PublicKey(kind, len(name).to_bytes(4, "big") + name + len(body).to_bytes(4, "big") + body)


ED = made("ssh-ed25519", b"1")
OTHER = made("ssh-ed25519", b"2")
RSA = made("ssh-rsa", b"3")


def known(tmp_path: Path, text: str) -> tuple[Path, ...]:
    (tmp_path / "known_hosts").write_text(text)
    return (tmp_path / "known_hosts", tmp_path / "missing")


def hashed(name: str) -> str:
    salt = b"s" * 20
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def test_a_fingerprint_pins_one_key_of_any_type() -> None:
    pin = parse_pin(ED.fingerprint)
    assert pin.accepts(ED)
    assert not pin.accepts(OTHER)
    assert pin.kinds == ()


def test_a_public_key_line_pins_the_key_and_says_which_type_to_ask_for() -> None:
    pin = parse_pin(ED.line + " root@node1")
    assert pin.accepts(ED)
    assert not pin.accepts(OTHER)
    assert pin.kinds == ("ssh-ed25519",)


@pytest.mark.parametrize(
    "text",
    ["", "SHA256:short", "MD5:aa:bb", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa " + ED.line.split()[1], "x" * 90],
)
def test_anything_else_is_no_pin_and_the_hint_shows_how_to_get_one(text: str) -> None:
    with pytest.raises(UsageFault) as fault:
        parse_pin(text)
    assert "ssh-keygen -lf" in (fault.value.hint or "")


def test_without_an_entry_any_key_will_do(tmp_path: Path) -> None:
    assert expected_from(known(tmp_path, f"other {ED.line}\n"), "node1", 22).accepts(OTHER)


def test_an_entry_accepts_its_keys_only_and_names_their_types(tmp_path: Path) -> None:
    found = expected_from(known(tmp_path, f"node1 {RSA.line}\nnode1,10.0.0.1 {ED.line} note\n"), "NODE1", 22)
    assert found.accepts(ED)
    assert found.accepts(RSA)
    assert not found.accepts(OTHER)
    assert found.kinds == ("ssh-rsa", "ssh-ed25519")


@pytest.mark.parametrize(
    "bad",
    [
        "@cert-authority *.example.org ssh-ed25519 AAAA",
        "node1  ssh-ed25519 %%%",
        "just-one-word",
        "@revoked",
        "node1 ssh-dss AAAAB3NzaC1kc3M=",
        "|1|broken|hash ssh-ed25519 AAAA",
        "\ufffd\ufffd \ufffd",
        "# comment",
        "",
    ],
)
def test_a_line_that_cannot_be_read_does_not_hide_the_rest(tmp_path: Path, bad: str) -> None:
    found = expected_from(known(tmp_path, f"{bad}\nnode1 {ED.line}\n"), "node1", 22)
    assert not found.accepts(OTHER)
    assert found.accepts(ED)


def test_two_spaces_between_fields_are_no_fault(tmp_path: Path) -> None:
    assert not expected_from(known(tmp_path, f"node1   {ED.line}\n"), "node1", 22).accepts(OTHER)


@pytest.mark.parametrize(("name", "port"), [("node1", 22), ("[node1]:2222", 2222)])
def test_hashed_names_are_found(tmp_path: Path, name: str, port: int) -> None:
    assert not expected_from(known(tmp_path, f"{hashed(name)} {ED.line}\n"), "node1", port).accepts(OTHER)


def test_another_port_is_another_host(tmp_path: Path) -> None:
    files = known(tmp_path, f"node1 {ED.line}\n[node1]:2222 {OTHER.line}\n")
    assert expected_from(files, "node1", 2222).accepts(OTHER)
    assert not expected_from(files, "node1", 2222).accepts(ED)


def test_wildcards_match_and_negations_exclude(tmp_path: Path) -> None:
    files = known(tmp_path, f"*.example.org,!b.example.org {ED.line}\n")
    assert not expected_from(files, "a.example.org", 22).accepts(OTHER)
    assert expected_from(files, "b.example.org", 22).accepts(OTHER)


def test_a_revoked_key_is_never_accepted(tmp_path: Path) -> None:
    found = expected_from(known(tmp_path, f"@revoked * {ED.line}\n"), "node1", 22)
    assert not found.accepts(ED)
    assert found.accepts(OTHER)


def test_a_certificate_authority_says_nothing_of_a_plain_key(tmp_path: Path) -> None:
    assert expected_from(known(tmp_path, f"@cert-authority * {ED.line}\n"), "node1", 22).accepts(OTHER)
