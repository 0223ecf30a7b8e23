"""Private keys ready to sign: from files, each passphrase asked for once, and from the agent."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from pymachine.errors import AuthFailed, UsageFault
from pymachine.events import Asker
from pymachine.transport.host_keys import PublicKey
from pymachine.transport.key_files import KeyFile, check_by_ssh, read_key_file, read_public_key

TRIES = 3

_Usable = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_KINDS: tuple[tuple[type, type[paramiko.PKey]], ...] = (
    (rsa.RSAPrivateKey, paramiko.RSAKey),
    (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey),
    (ed25519.Ed25519PrivateKey, paramiko.Ed25519Key),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A key to offer and where it comes from."""

    key: paramiko.PKey
    source: str

    @property
    def text(self) -> str:
        """Fingerprint and source, for messages."""
        return f"{public_key(self.key).fingerprint} ({self.source})"


class KeyRing:
    """The keys opened so far. One ring shared by many connections asks for each passphrase once."""

    def __init__(self) -> None:
        self._opened: dict[Path, paramiko.PKey] = {}
        self._checked: dict[Path, UsageFault | None] = {}
        self._lock = threading.Lock()

    def open(self, file: KeyFile, asker: Asker) -> paramiko.PKey:
        """Return the key, asking for its passphrase if need be.

        Raises ``UsageFault`` if it cannot be used or nobody can be asked, ``AuthFailed`` after three wrong answers.
        """
        with self._lock:
            if file.path not in self._opened:
                self._opened[file.path] = _to_paramiko(_unlock(file, asker), file.path)
            return self._opened[file.path]

    def check(self, file: KeyFile) -> None:
        """Raise ``UsageFault`` for a key that the system's ssh cannot load; it is asked once for each file."""
        with self._lock:
            if file.path not in self._checked:
                self._checked[file.path] = _objection(file)
            fault = self._checked[file.path]
        if fault is not None:
            raise fault


def _objection(file: KeyFile) -> UsageFault | None:
    try:
        check_by_ssh(file)
    except UsageFault as fault:
        return fault
    return None


def public_key(key: paramiko.PKey) -> PublicKey:
    """Return the public part of a key."""
    return PublicKey(key.get_name(), key.asbytes())


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """Which keys may be offered: one ``explicit`` file alone, or ``files``, the agent's unless ``files_only``.

    A file may be a public key: the agent's key that it belongs to then counts as one of the files. ``agent`` is the
    agent's socket, as in ``HostConfig``.
    """

    explicit: str | None = None
    files: tuple[Path, ...] = ()
    files_only: bool = False
    agent: str | None = None

    def identities(self, agent: Iterable[paramiko.AgentKey], ring: KeyRing, asker: Asker) -> Iterator[Identity]:
        """Yield the keys in the order to offer them; a passphrase is asked for only when its turn comes.

        The agent's copy of a file comes first, then files that need no passphrase, other keys of the agent, and
        encrypted files at last, so that a question is asked only where nothing else will do.
        """
        files = [_checked(self.explicit, ring)] if self.explicit else _readable(self.files, ring)
        wanted = {file.public.blob for file in files if file.public}
        wanted |= set() if self.explicit else {key.blob for path in self.files if (key := read_public_key(path))}
        held = {key.asbytes(): key for key in agent}
        known = [key for blob, key in held.items() if blob in wanted]
        others = [] if self.explicit or self.files_only else [k for blob, k in held.items() if blob not in wanted]
        left = [file for file in files if file.public is None or file.public.blob not in held]
        yield from (_from_agent(key) for key in known)
        yield from (_from_file(file, ring, asker) for file in left if not file.encrypted)
        yield from (_from_agent(key) for key in others)
        yield from (_from_file(file, ring, asker) for file in left if file.encrypted)


def _checked(path: str, ring: KeyRing) -> KeyFile:
    file = read_key_file(path)
    ring.check(file)
    return file


def _readable(paths: Iterable[Path], ring: KeyRing) -> list[KeyFile]:
    """The files that are there and can be used: nobody asked for these by name, so the rest is passed over."""
    found = []
    for path in paths:
        try:
            found.append(_checked(str(path), ring))
        except UsageFault:
            continue
    return found


def _from_agent(key: paramiko.AgentKey) -> Identity:
    return Identity(key, f"agent: {key.comment}" if key.comment else "agent")


def _from_file(file: KeyFile, ring: KeyRing, asker: Asker) -> Identity:
    return Identity(ring.open(file, asker), str(file.path))


def _unlock(file: KeyFile, asker: Asker) -> _Usable:
    if not file.encrypted:
        return _load(file, None)
    for _ in range(TRIES):
        passphrase = asker.secret(
            f"passphrase of {file.path}", instead=f"add the key to an agent: ssh-add {file.path}"
        )
        try:
            return _load(file, passphrase.encode())
        except _WrongPassphrase:
            continue
    raise AuthFailed(
        f"wrong passphrase for {file.path}, {TRIES} times", hint=f"`ssh-add {file.path}` tries it separately"
    )


class _WrongPassphrase(Exception):
    pass


def _load(file: KeyFile, passphrase: bytes | None) -> _Usable:
    load = load_ssh_private_key if b"BEGIN OPENSSH" in file.data else load_pem_private_key
    try:
        key = load(file.data, password=passphrase or None)
    except (ValueError, TypeError) as error:
        # Neither format tells a wrong passphrase from damage; what was encrypted is taken for the former.
        if passphrase is not None:
            raise _WrongPassphrase from error
        raise UsageFault(f"{file.path} is a damaged private key", hint="restore it from a copy") from error
    except UnsupportedAlgorithm as error:
        raise _unusable(file.path) from error
    if not isinstance(key, _Usable):
        raise _unusable(file.path)
    return key


def _unusable(path: Path) -> UsageFault:
    return UsageFault(f"{path} is of a type that cannot be used", hint="use an ed25519, ECDSA or RSA key")


def _to_paramiko(key: _Usable, path: Path) -> paramiko.PKey:
    # paramiko reads neither PKCS#8 nor key objects, but all three types in OpenSSH's own format.
    try:
        text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    except ValueError as error:  # a curve that OpenSSH has no name for
        raise _unusable(path) from error
    for kind, vendor in _KINDS:
        if isinstance(key, kind):
            return vendor.from_private_key(io.StringIO(text))
    raise _unusable(path)
