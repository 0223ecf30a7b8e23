"""Encryption with age: by passphrase, for age and SSH keys; and what does not decrypt."""

from __future__ import annotations

import subprocess
import sys

import pytest

from patience import LIMIT
from pymachine.errors import CheckFailed, UsageFault
from pymachine.exchange.encryption import (
    INSTALL,
    decrypted_by,
    decrypted_with,
    encrypted_for,
    encrypted_with,
    is_encrypted,
)
from pymachine.transport.key_pair import new_private_key, public_line

pyrage = pytest.importorskip("pyrage")


def turned(passphrase: str, content: bytes) -> tuple[bytes, bytes]:
    """Encrypt and decrypt; again where this computer was so busy between both that the library gave up."""
    while True:
        data = encrypted_with(passphrase, content)
        try:
            return data, decrypted_with(passphrase, data)
        except CheckFailed as error:
            if "Excessive work" not in error.message:
                raise


def test_a_passphrase() -> None:
    data, content = turned("secret words", b"content")
    assert content == b"content"
    assert is_encrypted(data)
    assert not is_encrypted(b"content")
    with pytest.raises(CheckFailed):
        decrypted_with("other", data)
    with pytest.raises(CheckFailed):
        decrypted_with("secret words", data[:-1])
    with pytest.raises(UsageFault):
        encrypted_with("", b"content")


def test_keys_of_age_and_of_ssh() -> None:
    own, ssh = pyrage.x25519.Identity.generate(), new_private_key()
    data = encrypted_for([str(own.to_public()), public_line(ssh)], b"content")
    assert decrypted_by(f"# created: today\n{own}\n".encode(), data) == b"content"
    assert decrypted_by(ssh, data) == b"content"
    with pytest.raises(CheckFailed):
        decrypted_by(new_private_key(), data)
    with pytest.raises(CheckFailed):
        decrypted_with("secret", data)


@pytest.mark.parametrize("text", ["", "age1", "ssh-ed25519 AAAA", "x"])
def test_what_is_no_recipient(text: str) -> None:
    with pytest.raises(UsageFault):
        encrypted_for([text], b"content")


@pytest.mark.parametrize("content", [b"", b"# only\n", b"\xff", b"AGE-SECRET-KEY-1", b"-----BEGIN x"])
def test_what_is_no_identity(content: bytes) -> None:
    data = encrypted_for([str(pyrage.x25519.Identity.generate().to_public())], b"content")
    with pytest.raises(UsageFault):
        decrypted_by(content, data)


def test_without_the_library_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pyrage'] = None\n"
        "from pymachine.errors import PymachineError\nfrom pymachine.exchange.encryption import encrypted_with\n"
        "try: encrypted_with('a', b'b')\nexcept PymachineError as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT)
    assert done.stdout.strip() == INSTALL
