from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from contract.sshd import make_key
from pymachine.errors import AuthFailed, UsageFault
from pymachine.testing.fake_asker import FakeAsker
from pymachine.transport.key_files import read_key_file
from pymachine.transport.keys import KeyRing, public_key

if shutil.which("ssh-keygen") is None:
    pytest.skip("no ssh-keygen here", allow_module_level=True)

FORMS = [
    ("ed25519", None),
    ("ecdsa", None),
    ("rsa", None),
    ("ecdsa", "PEM"),
    ("rsa", "PEM"),
    ("ecdsa", "PKCS8"),
    ("rsa", "PKCS8"),
]


@pytest.mark.parametrize(("kind", "form"), FORMS)
@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_every_format_is_opened(tmp_path: Path, kind: str, form: str | None, passphrase: str) -> None:
    path = make_key(tmp_path / "key", kind, passphrase=passphrase, form=form)
    file = read_key_file(str(path))
    person = FakeAsker(passphrase)
    key = KeyRing().open(file, person)
    assert file.encrypted is bool(passphrase)
    assert file.public is not None
    assert public_key(key).line == path.with_name("key.pub").read_text().rsplit(maxsplit=1)[0] == file.public.line
    assert key.can_sign()
    assert len(person.asked) == bool(passphrase)


def test_a_passphrase_is_asked_for_once_per_ring(tmp_path: Path) -> None:
    file = read_key_file(str(make_key(tmp_path / "key", passphrase="secret")))
    ring, person = KeyRing(), FakeAsker("secret")
    assert ring.open(file, person) is ring.open(file, person)
    assert len(person.asked) == 1


def test_a_mistyped_passphrase_may_be_given_again(tmp_path: Path) -> None:
    file = read_key_file(str(make_key(tmp_path / "key", passphrase="secret")))
    person = FakeAsker("wrong", "", "secret")
    assert KeyRing().open(file, person).can_sign()
    assert len(person.asked) == 3


def test_three_wrong_passphrases_are_enough(tmp_path: Path) -> None:
    file = read_key_file(str(make_key(tmp_path / "key", passphrase="secret")))
    with pytest.raises(AuthFailed, match=r"passphrase for .*, 3 times"):
        KeyRing().open(file, FakeAsker("a", "b", "c", "secret"))


def test_where_nobody_can_be_asked_the_hint_names_the_agent(tmp_path: Path) -> None:
    file = read_key_file(str(make_key(tmp_path / "key", passphrase="secret")))
    with pytest.raises(UsageFault) as fault:
        KeyRing().open(file, FakeAsker())
    assert "ssh-add" in (fault.value.hint or "")


def test_a_damaged_key_is_called_damaged(tmp_path: Path) -> None:
    path = make_key(tmp_path / "key")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1], *lines[3:]]))
    with pytest.raises(UsageFault, match="damaged"):
        KeyRing().open(read_key_file(str(path)), FakeAsker())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match=f" {tmp_path}/none"):
        read_key_file(str(tmp_path / "none"))


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="is a directory"):
        read_key_file(str(tmp_path))


def test_a_public_key_given_by_mistake_is_recognised(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    with pytest.raises(UsageFault, match="public key") as fault:
        read_key_file(str(tmp_path / "key.pub"))
    assert (fault.value.hint or "").endswith(f"{tmp_path}/key")


def test_a_putty_key_is_refused_with_the_conversion(tmp_path: Path) -> None:
    (tmp_path / "key.ppk").write_text("PuTTY-User-Key-File-3: ssh-ed25519\n")
    with pytest.raises(UsageFault, match="PuTTY") as fault:
        read_key_file(str(tmp_path / "key.ppk"))
    assert "puttygen" in (fault.value.hint or "")


def test_a_file_without_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hello\n")
    with pytest.raises(UsageFault, match="private key"):
        read_key_file(str(tmp_path / "key"))


def test_a_key_open_to_others_is_refused_as_by_ssh(tmp_path: Path) -> None:
    path = make_key(tmp_path / "key")
    path.chmod(0o640)
    with pytest.raises(UsageFault, match="other users") as fault:
        read_key_file(str(path))
    assert fault.value.hint == f"chmod 600 {path}"


def test_a_certificate_file_is_no_private_key(tmp_path: Path) -> None:
    authority, key = make_key(tmp_path / "ca"), make_key(tmp_path / "key")
    words = ["ssh-keygen", "-q", "-s", str(authority), "-I", "x", "-n", "root", f"{key}.pub"]
    subprocess.run(words, check=True)
    with pytest.raises(UsageFault, match="public key"):
        read_key_file(str(tmp_path / "key-cert.pub"))


def test_the_contents_of_a_key_are_in_no_repr(tmp_path: Path) -> None:
    file = read_key_file(str(make_key(tmp_path / "key")))
    assert "PRIVATE" not in repr(file)


def test_a_key_that_ssh_cannot_load_is_refused_as_by_ssh(tmp_path: Path) -> None:
    text = make_key(tmp_path / "plain").read_text()
    (tmp_path / "pem").write_text(make_key(tmp_path / "rsa", "rsa", form="PEM").read_text())
    forms = {
        "text before it": f"by hand\n{text}",
        "an empty line before it": f"\n{text}",
        "a byte order mark": f"\ufeff{text}",
        "blanks at its line ends": text.replace("\n", " \n"),
        "indented": "".join(f"  {line}\n" for line in text.splitlines()),
        "text before a PEM": f"Bag Attributes\n{(tmp_path / 'pem').read_text()}",
        "text after it": f"{text}by hand\n",
        "nothing": text,
    }
    verdicts = {}
    for name, form in forms.items():
        path = tmp_path / name
        path.write_text(form)
        path.chmod(0o600)
        with_ssh = ["ssh-keygen", "-y", "-P", "", "-f", str(path)]
        loads = subprocess.run(with_ssh, capture_output=True, check=False).returncode == 0
        verdicts[name] = (loads, _accepted(path))
    assert {name: both for name, both in verdicts.items() if both[0] != both[1]} == {}
    assert {loads for loads, _ in verdicts.values()} == {True, False}


def _accepted(path: Path) -> bool:
    ring = KeyRing()
    try:
        ring.check(read_key_file(str(path)))
    except UsageFault:
        return False
    return True


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
@pytest.mark.parametrize("curve", ["secp256k1", "brainpoolP256r1"])
def test_a_curve_that_ssh_does_not_know_is_a_type_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, curve: str
) -> None:
    path = tmp_path / "key"
    words = ["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", str(path)]
    subprocess.run(words, check=True, capture_output=True)
    path.chmod(0o600)
    file = read_key_file(str(path))
    with pytest.raises(UsageFault):
        KeyRing().check(file)
    monkeypatch.setenv("PATH", str(tmp_path))  # where there is no ssh-keygen to ask
    KeyRing().check(file)
    with pytest.raises(UsageFault, match="type"):
        KeyRing().open(file, FakeAsker())


def test_an_encrypted_key_is_not_refused_for_the_passphrase_that_is_not_known_yet(tmp_path: Path) -> None:
    for kind, form in FORMS:
        path = make_key(tmp_path / f"{kind}-{form}", kind, passphrase="secret", form=form)
        KeyRing().check(read_key_file(str(path)))


def test_ssh_is_asked_once_for_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, ring = read_key_file(str(make_key(tmp_path / "key"))), KeyRing()
    program = tmp_path / "bin" / "ssh-keygen"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho asked >>{tmp_path}/asked\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    for _ in range(3):
        with pytest.raises(UsageFault):
            ring.check(file)
    assert (tmp_path / "asked").read_text() == "asked\n"
