"""Host keys: pins, fingerprints and the user's known_hosts, parsed line by line.

Pure except for reading that file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from pymachine.addresses import SSH_PORT
from pymachine.errors import UsageFault

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?", re.ASCII)
SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key in its wire format; ``kind`` is its type, e.g. ``ssh-ed25519``."""

    kind: str
    blob: bytes

    @property
    def line(self) -> str:
        """The key as one line of text, as in ``ssh_host_ed25519_key.pub``."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """``SHA256:…`` as ssh-keygen -l shows it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return "SHA256:" + digest.rstrip("=")


class KeySource(StrEnum):
    """Where a host key is known from, in the words of a message."""

    GIVEN = "expected"
    KNOWN_HOSTS = "in known_hosts"
    OPENSSH = "accepted by ssh"


@dataclass(frozen=True, slots=True)
class Expected:
    """The acceptable host keys.

    No ``fingerprints``: any key, pinned on first contact. ``kinds`` are the key types to ask for first; none where
    only a fingerprint is known. ``source`` is where the expectation comes from. Without
    ``first_contact`` a key that nothing is known of is refused.
    """

    fingerprints: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = ()
    revoked: frozenset[str] = frozenset()
    source: KeySource = KeySource.GIVEN
    first_contact: bool = True

    def accepts(self, key: PublicKey) -> bool:
        """Whether this key is one of the expected ones."""
        if key.fingerprint in self.revoked:
            return False
        return key.fingerprint in self.fingerprints or (not self.fingerprints and self.first_contact)


def parse_pin(text: str) -> Expected:
    """Parse a public key line or a ``SHA256:`` fingerprint. Raises ``UsageFault``."""
    if _FINGERPRINT.fullmatch(text.strip()):
        return Expected(frozenset({text.strip().rstrip("=")}))
    key = _parse_key(text.split())
    if key is None:
        raise UsageFault(
            f"{text[:60]!r} is neither a SHA256 fingerprint nor a public key",
            hint="give SHA256:…, as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` shows it on the host",
        )
    return Expected(frozenset({key.fingerprint}), (key.kind,))


def known_hosts_files() -> tuple[Path, ...]:
    """The files in which ssh keeps known host keys."""
    return (Path.home() / ".ssh" / "known_hosts", SYSTEM_KNOWN_HOSTS)


def expected_from(files: Iterable[Path], host: str, port: int) -> Expected:
    """Return what known_hosts files say of a host; anything is acceptable where they say nothing.

    A line that cannot be read is passed over, never the rest of its file. Certificate authorities are left out:
    their line says nothing of a plain key (``has_authority``).
    """
    name = _name(host, port)
    keys: list[PublicKey] = []
    revoked: set[str] = set()
    for entry in _entries(files):
        if not entry.matches(name):
            continue
        if entry.marker == "@revoked":
            revoked.add(entry.key.fingerprint)
        elif not entry.marker:
            keys.append(entry.key)
    kinds = tuple(dict.fromkeys(key.kind for key in keys))
    return Expected(frozenset(key.fingerprint for key in keys), kinds, frozenset(revoked), KeySource.KNOWN_HOSTS)


def has_authority(files: Iterable[Path], host: str, port: int) -> bool:
    """Whether known_hosts files name a certificate authority for a host; a line without a port counts for all ports.

    Only ssh itself verifies certificates of hosts.
    """
    names = {_name(host, port), _name(host, SSH_PORT)}
    return any(entry.marker == "@cert-authority" and any(map(entry.matches, names)) for entry in _entries(files))


def _name(host: str, port: int) -> str:
    return host.lower() if port == SSH_PORT else f"[{host.lower()}]:{port}"


def keys_in(file: Path) -> tuple[tuple[str, PublicKey], ...]:
    """Return the keys in a known_hosts file without markers, each with the names before it; none for no file."""
    return tuple((",".join(entry.patterns), entry.key) for entry in _entries((file,)) if not entry.marker)


@dataclass(frozen=True, slots=True)
class _Entry:
    marker: str
    patterns: tuple[str, ...]
    key: PublicKey = field(repr=False)

    def matches(self, name: str) -> bool:
        positive = [p for p in self.patterns if not p.startswith("!")]
        negative = [p[1:] for p in self.patterns if p.startswith("!")]
        return any(_matches(p, name) for p in positive) and not any(_matches(p, name) for p in negative)


def _entries(files: Iterable[Path]) -> Iterator[_Entry]:
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):  # the latter for what can be no path, with a NUL in it
            continue
        for line in text.splitlines():
            entry = _parse_entry(line.split())
            if entry is not None:
                yield entry


def _parse_entry(words: list[str]) -> _Entry | None:
    if not words or words[0].startswith("#"):
        return None
    marker = words.pop(0) if words[0].startswith("@") else ""
    key = _parse_key(words[1:])
    return _Entry(marker, tuple(words[0].split(",")), key) if key else None


def _parse_key(words: list[str]) -> PublicKey | None:
    if len(words) < 2:
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    # The blob begins with its own type as a counted string (RFC 4253 §6.6).
    length = int.from_bytes(blob[:4], "big")
    kind = blob[4 : 4 + length]
    return PublicKey(words[0], blob) if kind == words[0].encode() and len(blob) > 4 + length else None


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        return _matches_hash(pattern, name)
    # Only * and ? are special in known_hosts; [h]:22 is meant as it stands.
    return fnmatchcase(name, pattern.lower().replace("[", "[[]"))


def _matches_hash(pattern: str, name: str) -> bool:
    try:
        _, _, salt, wanted = pattern.split("|")
        digest = hmac.digest(base64.b64decode(salt), name.encode(), "sha1")
        return hmac.compare_digest(digest, base64.b64decode(wanted))
    except (binascii.Error, ValueError):
        return False
