"""The Debian package source of this computer, from which images are built too."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pymachine.errors import CheckFailed

APT = Path("/etc/apt")
DEADLINE = 20.0
# What an image build has to know of this computer's way to the archive; the rest of its settings is its own.
_CARRIED = re.compile(r"Acquire::(?:https?::|Retries|Check-Valid-Until|Check-Date|ForceIPv[46])")
_ONE_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+\S")


@dataclass(frozen=True, slots=True)
class DebianSource:
    """One address and suite of an apt source."""

    uri: str
    suite: str

    @property
    def path(self) -> str:
        """The archive's path on its server."""
        return urlsplit(self.uri).path.rstrip("/")


def deb_lines(suite: str, mirror: str | None, folder: Path = APT) -> tuple[str, ...]:
    """Return the sources.list lines for a suite of Debian: from ``mirror``, else from apt's own sources.

    Raises ``CheckFailed`` if neither is known.
    """
    if mirror is not None:
        return (f"deb {mirror} {suite} main",)
    known = tuple(_in_force(folder))
    archive = _address(known, "/debian")
    if archive is None:
        raise CheckFailed(
            f"no Debian archive among the package sources in {folder}",
            hint="give one with --mirror: the address that apt uses on a Debian host",
        )
    lines = [f"deb {archive} {suite} main"]
    if any(source.path.endswith("/debian") and source.suite.endswith("-updates") for source in known):
        lines.append(f"deb {archive} {suite}-updates main")
    security = _address(known, "/debian-security")
    return (*lines, f"deb {security} {suite}-security main") if security else tuple(lines)


def apt_settings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return apt's proxy, retry and date settings on this computer, as lines of an apt.conf."""
    kept = [line for line in _dump().splitlines() if _CARRIED.match(line) and not line.endswith(' "";')]
    for scheme in ("http", "https"):
        proxy = environ.get(f"{scheme}_proxy")
        if proxy and not any(line.startswith(f"Acquire::{scheme}::Proxy ") for line in kept):
            kept.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    return tuple(kept)


def _dump() -> str:
    try:
        done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, timeout=DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _address(known: tuple[DebianSource, ...], ending: str) -> str | None:
    return next((source.uri for source in known if source.path.endswith(ending)), None)


def _in_force(folder: Path) -> Iterator[DebianSource]:
    """Yield every active binary source, in apt's order of files."""
    for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))):
        if path.suffix == ".list" and path.is_file():
            yield from _one_line(path.read_text(errors="replace"))
        elif path.suffix == ".sources" and path.is_file():
            yield from _deb822(path.read_text(errors="replace"))


def _one_line(text: str) -> Iterator[DebianSource]:
    for line in text.splitlines():
        found = _ONE_LINE.match(line.strip())
        if found:
            yield DebianSource(found[1], found[2])


def _deb822(text: str) -> Iterator[DebianSource]:
    for fields in _stanzas(text):
        wanted = "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no"
        for uri in fields.get("uris", "").split() if wanted else ():
            for suite in fields.get("suites", "").split():
                yield DebianSource(uri, suite)


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        joined = re.sub(r"\n[ \t]+", " ", "\n".join(lines))
        yield {
            key.strip().lower(): value.strip()
            for key, _, value in (line.partition(":") for line in joined.splitlines())
        }
