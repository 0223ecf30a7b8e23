"""Run a script inside a tree that is not booted, in a container that shares this machine's network."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from lab.sh import run
from lab.supervise import cgroup_places, clear_cgroup, make_cgroup

NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", "--resolv-conf=off")
# Joins the groups named before "--", then becomes the rest: nspawn makes groups of its own beside where it starts.
JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'


def run_inside(tree: Path, script: str, *, options: Sequence[str] = (), timeout: float = 300) -> str:
    """Run shell lines as root of the tree; the first that fails ends it with a LabError."""
    name = f"pml-inside-{uuid.uuid4().hex[:6]}"
    places = cgroup_places(name)
    container = [*NSPAWN, f"--machine={name}", *options, f"--directory={tree}", "/bin/sh", "-e", "-c", script]
    try:
        for place in places:
            make_cgroup(place)
        return run(["sh", "-e", "-c", JOIN, "join", *places, "--", *container], timeout=timeout).stdout
    finally:
        for place in places:
            clear_cgroup(place)
