"""An apt repository laid out and signed like Docker's, served on the bridge of a lab.

    BASE/linux/debian/gpg                                   the key, ASCII-armoured
    BASE/linux/debian/dists/SUITE/InRelease                 signed
    BASE/linux/debian/dists/SUITE/stable/binary-ARCH/Packages
    BASE/linux/debian/dists/SUITE/pool/stable/ARCH/*.deb

What the packages need and a fresh host lacks is in it too: a host without a way out can install from it alone.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from lab import repack
from lab.core import Lab
from lab.debs import building, digest
from lab.host import HERE
from lab.ident import cache_dir
from lab.repack import Repacker, build
from lab.sh import run
from lab.template import template
from lab.wait import wait_http

SERVICE = "aptrepo"
SIGNER = "lab@example.invalid"


@dataclass(frozen=True)
class AptRepo:
    """A served repository."""

    lab: Lab
    url: str
    folder: Path

    @property
    def base(self) -> str:
        """What stands where Docker's https address for Debian stands."""
        return f"{self.url}/linux/debian"

    @property
    def key_url(self) -> str:
        """Where the signing key is."""
        return f"{self.base}/gpg"

    def versions(self, suite: str) -> tuple[str, str]:
        """The two docker-ce versions of a suite as apt names them, older first."""
        older, newer = (self.folder / "linux/debian/dists" / suite / "versions").read_text().split()
        return older, newer

    def source_line(self, suite: str, keyring: str = "/etc/apt/keyrings/docker.asc") -> str:
        """A sources.list line for it."""
        return f"deb [signed-by={keyring}] {self.base} {suite} stable\n"

    def requests(self) -> str:
        """What was asked of it so far, as its log tells."""
        return self.lab.service_log(SERVICE)

    def stop(self) -> None:
        """End it."""
        self.lab.end_service(SERVICE)


@contextmanager
def _gpg(home: Path) -> Iterator[list[str]]:
    """A gpg command line on a key of its own; the agent it starts is ended."""
    short = Path(tempfile.mkdtemp(prefix="pml-gpg-"))  # the agent's socket path has to be short
    try:
        shutil.copytree(home, short, dirs_exist_ok=True)
        short.chmod(0o700)
        yield [
            "gpg",
            "--homedir",
            str(short),
            "--batch",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]
    finally:
        run(["gpgconf", "--homedir", short, "--kill", "gpg-agent"], check=False)
        shutil.rmtree(short, ignore_errors=True)


def _signing_key() -> Path:
    """The folder with the repository's key, made once."""
    place = cache_dir() / "aptrepo" / "key"
    with building(place) as draft:
        if draft:
            draft.chmod(0o700)
            with _gpg(draft) as gpg:
                run([*gpg, "--quick-generate-key", f"Test Lab <{SIGNER}>", "ed25519", "sign", "never"])
                home = Path(gpg[2])
                shutil.copytree(home, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns("S.*", "*.lock"))
                (draft / "gpg").write_text(run([*gpg, "--armor", "--export", SIGNER]).stdout)
    return place


def architecture() -> str:
    """What dpkg calls this machine."""
    return run(["dpkg", "--print-architecture"]).stdout.strip()


def _index(archives: Sequence[Path], top: Path) -> str:
    entries = []
    for path in archives:
        control = run(["dpkg-deb", "-f", path]).stdout.strip()
        data = path.read_bytes()
        sums = f"Size: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}"
        entries.append(f"{control}\nFilename: {path.relative_to(top)}\n{sums}\n")
    return "\n".join(entries)


def _write_release(suite: str, dist: Path) -> None:
    indexes = sorted(path for path in dist.glob("stable/binary-*/*") if path.is_file())
    lines = [
        "Origin: Docker",
        "Label: Docker CE",
        f"Suite: {suite}",
        f"Codename: {suite}",
        f"Date: {formatdate(usegmt=True)}",
        f"Architectures: {architecture()}",
        "Components: stable",
        "SHA256:",
    ]
    for path in indexes:
        data = path.read_bytes()
        lines.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {path.relative_to(dist)}")
    (dist / "Release").write_text("\n".join(lines) + "\n")


def _sign(dist: Path) -> None:
    with _gpg(_signing_key()) as gpg:
        signer = [*gpg, "--yes", "--local-user", SIGNER]
        run([*signer, "--output", dist / "InRelease", "--clearsign", dist / "Release"])
        run([*signer, "--armor", "--output", dist / "Release.gpg", "--detach-sign", dist / "Release"])


def repository(suite: str) -> Path:
    """One suite's dists folder, built once per template and recipe."""
    recipe = Path(repack.__file__).read_text() + Path(__file__).read_text()
    place = cache_dir() / "aptrepo" / f"{suite}-{digest(template(suite).name, recipe)}"
    with building(place) as draft:
        if draft:
            _build(suite, draft)
    return place / "linux/debian/dists" / suite


def _build(suite: str, draft: Path) -> None:
    began = time.monotonic()
    print(f"lab: repacking Docker's packages for {suite}", file=sys.stderr, flush=True)
    top = draft / "linux/debian"
    dist, arch = top / "dists" / suite, architecture()
    pool, index = dist / "pool/stable" / arch, dist / f"stable/binary-{arch}"
    pool.mkdir(parents=True)
    index.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=draft) as scratch:
        repacker = Repacker(suite, Path(scratch))
        for package in repacker.packages():
            build(package, Path(scratch), pool, arch)
        older, newer = (repacker.release(version, "5:") for version in repacker.engine_versions())
        (dist / "versions").write_text(f"{older}\n{newer}\n")
        _add_needed(repacker.archives, pool)
    listing = _index(sorted(pool.glob("*.deb")), top).encode()
    (index / "Packages").write_bytes(listing)
    (index / "Packages.gz").write_bytes(gzip.compress(listing, mtime=0))
    _write_release(suite, dist)
    _sign(dist)
    print(f"lab: that took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _add_needed(archives: Sequence[Path], pool: Path) -> None:
    """Add what Debian's engine pulled in beside itself, such as libraries a fresh host lacks."""
    repacked = ("docker.io_", "docker-cli_", "containerd_", "runc_", "tini_")
    for archive in archives:
        if not archive.name.startswith(repacked):
            shutil.copyfile(archive, pool / archive.name)


def start_aptrepo(lab: Lab, suites: Sequence[str] = ("trixie", "bookworm"), port: int = 8080) -> AptRepo:
    """Serve the repository on the lab's bridge."""
    folder = lab.home / "aptrepo"
    dists = folder / "linux/debian/dists"
    dists.mkdir(parents=True, exist_ok=True)
    for suite in suites:
        link = dists / suite
        link.unlink(missing_ok=True)
        link.symlink_to(repository(suite))
    shutil.copyfile(_signing_key() / "gpg", folder / "linux/debian/gpg")
    repo = AptRepo(lab, f"http://{lab.address}:{port}", folder)
    script = str(HERE / "serve.py")
    lab.serve(SERVICE, sys.executable, "-I", script, str(folder), lab.address, str(port))
    wait_http(repo.key_url, lambda: lab.service_log(SERVICE))
    return repo
