"""A create that is watched from outside: when its machine was switched on, and when its engine answered."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.ident import cache_dir, locked
from lab.libvirtd import URI
from lab.sh import run
from lab.workstation import Workstation
from pymachine.engine.client import ask
from pymachine.errors import PymachineError
from pymachine.store.sqlite import SqliteStore
from pymachine_kvm.libvirt_api import connect

DEADLINE = 900.0
CLIENT_FILES = ("ca.pem", "cert.pem", "key.pem")


@dataclass(frozen=True)
class Watched:
    """Seconds of one create: ``whole`` of the command, ``boot`` from power-on to an engine that answers over TLS.

    ``processor`` are the seconds of processor time that the virtual machine took until then.
    """

    whole: float
    boot: float
    processor: float


def watched_create(user: Workstation, name: str, words: list[str], shelf: Path, folder: Path) -> Watched:
    """Run a create of machine ``name`` with the images of that shelf, and take the machine away again."""
    env = {**user.env(), "PYMACHINE_IMAGES": str(shelf)}
    began = time.monotonic()
    with subprocess.Popen(
        user.command(*words), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as process:  # fmt: skip
        on = _power_on(name, process)
        processor = _answer(user, name, process, folder)
        answered = time.monotonic()
        told, _ = process.communicate(timeout=DEADLINE)
    ended = time.monotonic()
    assert process.returncode == 0, told
    user.pymachine("rm", "-f", "-y", name)
    return Watched(ended - began, answered - on, processor)


def _power_on(name: str, process: subprocess.Popen[str]) -> float:
    end = time.monotonic() + DEADLINE
    with connect(URI, read_only=True) as connection:
        while name not in {domain.name() for domain in connection.listAllDomains(1)}:  # the active ones
            assert process.poll() is None, "the command ended before the machine was switched on"
            assert time.monotonic() < end, "the machine was never switched on"
            time.sleep(0.05)
    return time.monotonic()


def _answer(user: Workstation, name: str, process: subprocess.Popen[str], folder: Path) -> float:
    """Wait for the engine's answer; return the processor time of the machine by then."""
    with SqliteStore.open(user.store) as store:
        machine, secrets = store.get(name), store.secrets(name)
    assert machine.endpoint is not None
    for file in CLIENT_FILES:
        (folder / file).write_bytes(secrets[file])
    end = time.monotonic() + DEADLINE
    while True:
        try:
            ask(machine.endpoint, folder, deadline=10)
        except PymachineError:
            assert time.monotonic() < end, "the engine never answered"
            time.sleep(0.2)
        else:
            break
    with connect(URI, read_only=True) as connection:
        stats = connection.lookupByName(name).getCPUStats(True)
    return float(stats[0]["cpu_time"]) / 1e9


def image_of_commit(commit: str, name: str) -> Path | None:
    """Return a shelf with the image that the code of a commit builds; None where the history is not here."""
    shelf = cache_dir() / f"shelf-{commit}"
    source = cache_dir() / f"source-{commit}"
    with locked(cache_dir() / ".old-image.lock", seconds=DEADLINE):
        if (shelf / f"{name}.img").exists():
            return shelf
        if subprocess.run(["git", "cat-file", "-e", commit], check=False, capture_output=True).returncode:
            return None
        source.mkdir(exist_ok=True)
        archive = subprocess.run(["git", "archive", commit], check=True, capture_output=True, timeout=60).stdout
        subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True, timeout=60)
        words = [sys.executable, "-m", "pymachine", "image", "build", "debian-13", "--with-engine", "--name", name]
        run(words, timeout=DEADLINE, env=_environ(source, shelf))
    return shelf


def _environ(source: Path, shelf: Path) -> Mapping[str, str]:
    roots = os.pathsep.join(str(source / root) for root in ("machine", "drivers", "templates"))
    return {**os.environ, "PYTHONPATH": roots, "PYMACHINE_IMAGES": str(shelf)}
