"""Encryption of an export with age, through the library pyrage, which is an extra."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from pymachine.errors import CheckFailed, PymachineError, UsageFault

MAGIC = b"age-encryption.org/v1"  # how an encrypted file begins
TRIES = 3
INSTALL = "pip install 'pymachine-docker[exchange]'"


def is_encrypted(data: bytes) -> bool:
    """Whether a file is encrypted with age."""
    return data.startswith(MAGIC)


def encrypted_for(recipients: Sequence[str], data: bytes) -> bytes:
    """Encrypt for recipients: ``age1…``, or the line of an SSH public key. Raises ``UsageFault``."""
    pyrage = _pyrage()
    return bytes(pyrage.encrypt(data, [_recipient(pyrage, text) for text in recipients]))


def encrypted_with(passphrase: str, data: bytes) -> bytes:
    """Encrypt with a passphrase. Raises ``UsageFault`` for an empty one."""
    if not passphrase:
        raise UsageFault("the passphrase is empty")
    return bytes(_pyrage().passphrase.encrypt(data, passphrase))


def decrypted_with(passphrase: str, data: bytes) -> bytes:
    """Decrypt with a passphrase. Raises ``CheckFailed``.

    The library measures how fast this computer is, and refuses what would take it too long: one that is busy for a
    moment gets another try.
    """
    pyrage = _pyrage()
    for left in reversed(range(TRIES)):
        try:
            return bytes(pyrage.passphrase.decrypt(data, passphrase))
        except pyrage.DecryptError as error:
            if left:
                continue
            raise CheckFailed(
                f"the export cannot be decrypted with this passphrase: {error}",
                hint="if it was encrypted for a key of yours, give that with --identity FILE",
            ) from None
    raise AssertionError("the last try returns or raises")


def decrypted_by(identities: bytes, data: bytes) -> bytes:
    """Decrypt with the content of an identity file: of age, or a private SSH key. Raises as ``decrypted_with``."""
    pyrage = _pyrage()
    try:
        return bytes(pyrage.decrypt(data, _identities(pyrage, identities)))
    except pyrage.DecryptError as error:
        raise CheckFailed(
            f"the export cannot be decrypted with this identity: {error}",
            hint="if it was encrypted with a passphrase, leave --identity out",
        ) from None


def _pyrage() -> Any:
    try:
        return importlib.import_module("pyrage")
    except ImportError as error:
        raise PymachineError(f"encryption needs pyrage: {error}", hint=INSTALL) from None


def _recipient(pyrage: Any, text: str) -> Any:
    kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return kind.from_str(text)
    except pyrage.RecipientError as error:
        raise UsageFault(
            f"--recipient {text[:80]!r}: {error}", hint="give age1…, or the line of an SSH public key"
        ) from None


def _identities(pyrage: Any, content: bytes) -> list[Any]:
    try:
        if content.lstrip().startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode("ascii").splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (pyrage.IdentityError, UnicodeDecodeError):
        found = []
    if not found:
        raise UsageFault("--identity: it is neither an age identity file nor a private SSH key without a passphrase")
    return found
