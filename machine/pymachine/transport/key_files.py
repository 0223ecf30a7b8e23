"""Reads private key files without a passphrase: whether they are valid and usable, and their public keys."""

from __future__ import annotations

import base64
import binascii
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from pymachine.errors import UsageFault
from pymachine.transport.host_keys import PublicKey
from pymachine.user_path import user_path

_ARMOUR = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
_PUBLIC = re.compile(rb"\s*(ssh-|ecdsa-|sk-|-----BEGIN (RSA )?PUBLIC KEY|---- BEGIN SSH2 PUBLIC)")
_MAGIC = b"openssh-key-v1\0"
_WRONG_PASSPHRASE = "incorrect passphrase"
SIZE_LIMIT = 65_536
PATIENCE = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key file. ``public`` is None if only the passphrase would tell."""

    path: Path
    data: bytes = field(repr=False)
    encrypted: bool
    public: PublicKey | None


def read_key_file(text: str) -> KeyFile:
    """Read a private key file; ``~`` is the home folder.

    Raises ``UsageFault`` with the problem: missing, unreadable, open to others, a public key, or not a key at all.
    """
    path = user_path(text)
    data = _read(path)
    if _PUBLIC.match(data):
        raise UsageFault(
            f"{path} is a public key", hint=f"give the private one, usually {str(path).removesuffix('.pub')}"
        )
    if data.startswith(b"PuTTY-User-Key-File"):
        raise UsageFault(f"{path} is a PuTTY key", hint=f"convert it: puttygen {path} -O private-openssh -o NEW")
    found = _ARMOUR.search(data)
    if not found:
        raise UsageFault(f"{path} holds no private key", hint="`ssh-keygen -t ed25519` makes one")
    _check_mode(path)
    _check_line_ends(path, data)
    return _parse(path, data, found.group(1), found.group(2))


def is_private_key(data: bytes) -> bool:
    """Whether some content has the form of a private key file of OpenSSH or OpenSSL."""
    return _ARMOUR.search(data) is not None


def check_by_ssh(file: KeyFile) -> None:
    """Raise ``UsageFault`` for a key that the system's ssh cannot load although we can: by form, kind or size.

    ``ssh-keygen`` is asked; without one, or without an answer in time, nothing is known against the key.
    """
    program = shutil.which("ssh-keygen")
    if program is None:
        return
    words = [program, "-y", "-P", "", "-f", str(file.path)]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return
    said = done.stderr.decode(errors="replace").strip()
    # It has one exit code for all; with a passphrase it can only find out that the empty one is wrong.
    if not done.returncode or (file.encrypted and _WRONG_PASSPHRASE in said):
        return
    reason = said.rpartition("\n")[2].rpartition(": ")[2] or f"it ended with code {done.returncode}"
    raise UsageFault(
        f"ssh cannot load the SSH key file {file.path}: {reason[:200]}",
        hint="nothing may stand around the key; a new one: ssh-keygen -t ed25519",
    )


def read_public_key(path: Path) -> PublicKey | None:
    """Return the public key in a file, or in the ``.pub`` file beside it, as ssh does; None for neither."""
    for file in (path, Path(f"{path}.pub")):
        try:
            with file.open("rb") as stream:
                words = stream.read(SIZE_LIMIT).decode(errors="replace").split()[:2]
            if words[0].startswith(("ssh-", "ecdsa-", "sk-")):
                return PublicKey(words[0], base64.b64decode(words[1], validate=True))
        except (OSError, ValueError, IndexError):
            continue
    return None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(SIZE_LIMIT)
    except FileNotFoundError:
        raise UsageFault(f"no SSH key file {path}", hint="check the path given with --ssh-key") from None
    except (OSError, ValueError) as error:  # the latter for what can be no path, with a NUL in it
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageFault(f"SSH key file {path} cannot be read: {reason}", hint="choose a readable file") from None


def _check_mode(path: Path) -> None:
    # The same rule as OpenSSH: a key of one's own that others can read is not used.
    found = path.stat()
    if found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077:
        raise UsageFault(f"SSH key file {path} is open to other users", hint=f"chmod 600 {path}")


def _check_line_ends(path: Path, data: bytes) -> None:
    """Refuse a key that ssh cannot read (PEM_read_bio), because every later `pymachine ssh` would fail."""
    if b"\r" in data:
        raise UsageFault(f"SSH key file {path} has Windows line endings, which ssh refuses", hint=f"dos2unix {path}")
    if not data.endswith(b"\n"):
        raise UsageFault(
            f"SSH key file {path} does not end with a newline, so ssh refuses it", hint=f"echo >> {path}"
        )


def _parse(path: Path, data: bytes, label: bytes, body: bytes) -> KeyFile:
    if label == b"OPENSSH PRIVATE KEY":
        return _parse_openssh(path, data, body)
    encrypted = label.startswith(b"ENCRYPTED") or b"Proc-Type: 4,ENCRYPTED" in body
    return KeyFile(path, data, encrypted, read_public_key(path))


def _parse_openssh(path: Path, data: bytes, body: bytes) -> KeyFile:
    """Parse the clear header of the format (OpenSSH's PROTOCOL.key): cipher, kdf, options, count, public key."""
    try:
        raw = base64.b64decode(body)
    except binascii.Error:
        raw = b""
    if not raw.startswith(_MAGIC):
        raise UsageFault(f"{path} is a damaged private key", hint="restore it from a copy, or make a new one")
    cipher, rest = _string(raw[len(_MAGIC) :])
    _, rest = _string(rest)
    _, rest = _string(rest)
    blob, _ = _string(rest[4:])
    kind, _ = _string(blob)
    return KeyFile(path, data, cipher != b"none", PublicKey(kind.decode(errors="replace"), blob))


def _string(data: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(data[:4], "big")
    return data[4:end], data[end:]
