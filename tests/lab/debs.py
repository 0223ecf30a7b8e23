"""Debian packages as files, fetched by a suite's own apt inside its template and kept in the cache.

Nothing is installed on this machine and its own apt is not asked: the same packages come on Debian and on Ubuntu.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.ident import cache_dir, locked
from lab.inside import run_inside
from lab.sh import run
from lab.sources import nameservers
from lab.template import drop_old, template


@contextmanager
def building(place: Path) -> Iterator[Path | None]:
    """Give an empty folder to build in, which becomes place if the block ends well; None when place is there."""
    if place.is_dir():
        yield None
        return
    with locked(place.with_name(f".{place.name}.lock"), seconds=900):
        if place.is_dir():
            yield None
            return
        for leftover in place.parent.glob(f".{place.name}-*"):
            shutil.rmtree(leftover)
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        draft.chmod(0o755)
        try:
            yield draft
            draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def digest(*parts: object) -> str:
    """Hash what went into something cached, for its name."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def fetch(suite: str, packages: Sequence[str], *, needed: bool = False) -> list[Path]:
    """The .deb files of packages; with needed, also all that a host made from the template lacks to install them."""
    base = template(suite)
    place = cache_dir() / "debs" / f"{suite}-{digest(base.name, tuple(packages), needed)}"
    with building(place) as draft:
        if draft:
            _download(base, draft, packages, needed=needed)
    return sorted(place.glob("*.deb"))


def _download(base: Path, into: Path, packages: Sequence[str], *, needed: bool) -> None:
    names = " ".join(packages)
    resolv = "\\n".join(f"nameserver {server}" for server in nameservers())
    get = (
        f"apt-get install -qq -y --download-only --no-install-recommends -o Dir::Cache::archives=/tmp/out/ {names}"
        if needed
        else f"cd /tmp/out && apt-get download -qq -o APT::Sandbox::User=root {names}"
    )
    script = f"printf '{resolv}\\n' > /etc/resolv.conf; mkdir -p /tmp/out/partial; apt-get update -qq; {get}"
    # The container writes to an overlay in memory, not the template. nspawn lets one at a time have a tree.
    with locked(base.with_name(f".{base.name}.fetching")):
        run_inside(base, script, options=["--volatile=overlay", f"--bind={into}:/tmp/out"], timeout=600)
    for extra in ("partial", "lock"):
        path = into / extra
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def engine_template(suite: str) -> Path:
    """A suite's template with Debian's engine installed: hosts made from it start dockerd on boot."""
    packages = ("docker.io", "docker-cli") if suite == "trixie" else ("docker.io",)
    archives = fetch(suite, packages, needed=True)
    name = f"{suite}-engine-{digest(template(suite).name, [path.name for path in archives])}"
    place = cache_dir() / "templates" / name
    if not place.is_dir():
        drop_old(f"{suite}-engine", place.parent)
    with building(place) as draft:
        if draft:
            _install_engine(template(suite), draft, archives)
    return place


def _install_engine(base: Path, tree: Path, archives: Sequence[Path]) -> None:
    run(["cp", "-a", "-t", tree, *base.iterdir()], timeout=120)
    folder = tree / "var/tmp/debs"
    folder.mkdir()
    for archive in archives:
        shutil.copyfile(archive, folder / archive.name)
    run_inside(tree, "dpkg -i /var/tmp/debs/*.deb && rm -rf /var/tmp/debs /var/log/dpkg.log", timeout=180)


def unpacked(suite: str, package: str) -> Path:
    """A package's files, unpacked into the cache and not installed."""
    archive = next(path for path in fetch(suite, [package]) if path.name.startswith(f"{package}_"))
    place = cache_dir() / "unpacked" / f"{suite}-{archive.stem.replace('%3a', '-')}"
    with building(place) as draft:
        if draft:
            run(["dpkg-deb", "-x", archive, draft])
    return place
