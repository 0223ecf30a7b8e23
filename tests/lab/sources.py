"""Where this machine gets Debian packages from, so that the hosts of the lab get theirs from the same place.

The lab names no mirror of its own: it follows the apt sources, proxy and date settings in force.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from lab.sh import run

APT = Path("/etc/apt")
CARRIED = re.compile(r"Acquire::(?:https?::|Retries|Check-Valid-Until|Check-Date|ForceIPv[46])")


@dataclass(frozen=True)
class Source:
    """One URI and suite of an apt source."""

    uri: str
    suite: str

    @property
    def path(self) -> str:
        """The archive's path on its server."""
        return urlparse(self.uri).path.rstrip("/")


def _one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        found = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+\S", line.strip())
        if found:
            yield Source(found[1], found[2])


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        joined = re.sub(r"\n[ \t]+", " ", "\n".join(lines))
        yield {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in joined.splitlines())}


def _deb822(text: str) -> Iterator[Source]:
    for fields in _stanzas(text):
        wanted = "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no"
        for uri in fields.get("uris", "").split() if wanted else ():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite)


def apt_sources(root: Path = APT) -> list[Source]:
    """Every binary source in force, in apt's own order of files."""
    found: list[Source] = []
    for path in (root / "sources.list", *sorted((root / "sources.list.d").glob("*"))):
        if path.suffix == ".list" and path.is_file():
            found += _one_line(path.read_text())
        elif path.suffix == ".sources":
            found += _deb822(path.read_text())
    return found


def host_sources(suite: str, outer: list[Source]) -> list[str]:
    """The sources.list lines for a host of a suite; none when this machine knows no Debian archive."""
    main = next((s.uri for s in outer if s.path.endswith("/debian")), None)
    if main is None:
        return []
    lines = [f"deb {main} {suite} main"]
    if any(s.path.endswith("/debian") and s.suite.endswith("-updates") for s in outer):
        lines.append(f"deb {main} {suite}-updates main")
    security = next((s.uri for s in outer if s.path.endswith("/debian-security")), None)
    if security:
        lines.append(f"deb {security} {suite}-security main")
    return lines


def apt_settings() -> str:
    """The proxy, retry and date settings of this machine's apt, as an apt.conf for the hosts."""
    dump = run(["apt-config", "dump"]).stdout
    kept = [line for line in dump.splitlines() if CARRIED.match(line) and not line.endswith(' "";')]
    for scheme in ("http", "https"):
        proxy = os.environ.get(f"{scheme}_proxy")
        if proxy and not any(line.startswith(f"Acquire::{scheme}::Proxy ") for line in kept):
            kept.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    return "".join(f"{line}\n" for line in kept)


def nameservers() -> list[str]:
    """The name servers that a host can reach: the real ones, not a stub on this machine's loopback."""
    for path in (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf")):
        if path.exists():
            found = re.findall(r"^nameserver\s+(\S+)", path.read_text(), re.MULTILINE)
            usable = [server for server in found if not server.startswith(("127.", "::1"))]
            if usable:
                return usable
    return []
