"""Where the lab keeps things, who owns them, and the one lock that all labs of a machine share.

A process is named by pid, start time and boot: a pid alone is handed out again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCK = Path("/run/lock/pymachine-lab.lock")


def state_dir() -> Path:
    """Where running labs keep their records and trees."""
    return Path(os.environ.get("PYMACHINE_LAB_DIR", "/var/lib/pymachine-lab"))


def cache_dir() -> Path:
    """Where templates, downloaded packages and built repositories are kept between runs."""
    return Path(os.environ.get("PYMACHINE_LAB_CACHE", "/var/cache/pymachine-lab"))


def boot_id() -> str:
    """Identify this boot of the machine: nothing that a lab started outlives it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class Process:
    """One process that cannot be mistaken for a later one with the same pid."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """Name the live process with this pid; ProcessLookupError when there is none."""
        found = _state_and_start(pid)
        if found is None:
            raise ProcessLookupError(pid)
        return cls(pid, found[1], boot_id())

    def alive(self) -> bool:
        """Say whether it still runs; one that only waits to be reaped does not."""
        found = _state_and_start(self.pid)
        return found is not None and found[0] not in "ZX" and found[1] == self.started and self.boot == boot_id()

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it is still there."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end and say whether it came in time."""
        end = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def end(self, grace: float = 5) -> None:
        """Ask it to end, and make it after the grace."""
        self.send(signal.SIGTERM)
        if not self.wait(grace):
            self.send(signal.SIGKILL)
            self.wait(5)


def _state_and_start(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def read_process(path: Path) -> Process | None:
    """Read a process written as JSON by daemon.py or write_json; None when there is none."""
    data = read_json(path)
    return Process(**data) if data else None


def read_json(path: Path) -> dict[str, Any] | None:
    """Read an object; None when it is missing or was cut off while being written."""
    try:
        data = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def write_json(path: Path, data: object) -> None:
    """Write an object so that a reader sees the old or the new one, never half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
    draft.replace(path)


@contextlib.contextmanager
def locked(path: Path, seconds: float = 600) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel drops it when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + seconds
    with path.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(f"{path} is held by another process") from None
                time.sleep(0.05)
        yield
