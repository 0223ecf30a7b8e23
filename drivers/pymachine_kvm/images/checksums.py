"""Vendors' lists of checksums, and the comparison of files with them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pymachine.errors import CheckFailed, UsageFault

LENGTHS = {"sha256": 64, "sha512": 128}
# "digest  name" and "digest *name" of coreutils; "SHA256 (name) = digest" of BSD, which Fedora's kin use.
_GNU = re.compile(r"\\?([0-9a-fA-F]{64,128})\s+\*?(\S.*)")
_BSD = re.compile(r"SHA\d+ \((.+)\) = ([0-9a-fA-F]{64,128})")


@dataclass(frozen=True, slots=True)
class Digest:
    """The expected digest of a file; ``hex`` is in lower case."""

    algorithm: str
    hex: str

    @classmethod
    def read(cls, text: str) -> Digest:
        """Read ``[sha256=|sha256:]HEX``, or the same with sha512. Raises ``UsageFault``."""
        algorithm, _, digits = text.replace(":", "=").rpartition("=")
        by_length = next((name for name, length in LENGTHS.items() if length == len(digits)), "")
        found = cls(algorithm.lower() or by_length, digits.lower())
        if LENGTHS.get(found.algorithm) != len(digits) or not re.fullmatch("[0-9a-f]+", found.hex):
            raise UsageFault(f"{text[:80]!r} is not a valid checksum", hint="write sha256=HEX or sha512=HEX")
        return found

    def check(self, path: Path, what: str) -> None:
        """Raise ``CheckFailed`` unless the file has this digest; ``what`` names it for the message."""
        with path.open("rb") as file:
            found = hashlib.file_digest(file, self.algorithm).hexdigest()
        if found != self.hex:
            raise CheckFailed(
                f"{what} has {self.algorithm} checksum {found[:16]}… instead of {self.hex[:16]}…",
                hint="it was damaged or replaced in transit, or its vendor is publishing a new one: try again later",
            )


@dataclass(frozen=True, slots=True)
class Checksum:
    """One line of a list."""

    file: str
    digest: Digest


def entries(text: str, algorithm: str) -> dict[str, Digest]:
    """Return the digests of one algorithm in a vendor's list, by file name; other lines are skipped."""
    found = {}
    for line in text.splitlines():
        name, digits = _read(line.strip())
        if len(digits) == LENGTHS[algorithm]:
            found[name.removeprefix("./")] = Digest(algorithm, digits.lower())
    return found


def _read(line: str) -> tuple[str, str]:
    """Return name and hex digits; empty for another kind of line (a signature, a comment)."""
    bsd = _BSD.fullmatch(line)
    if bsd:
        return bsd[1], bsd[2]
    gnu = _GNU.fullmatch(line)
    return (gnu[2], gnu[1]) if gnu else ("", "")
