"""Counts of what costs time, in files of a run's folder: safe across processes, for each count is one appended line.

`PYMACHINE_RUN` names the folder of a run, `PYMACHINE_STAGE` the stage of it that is running. Where no run is on,
nothing is counted.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

KINDS = ("vm_boots", "host_boots", "installations", "probes", "interpreters")
DOMAIN_LOGS = Path("/var/log/libvirt/qemu")
# libvirt writes one such line into a domain's log whenever it starts a QEMU for it.
_START = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d+\+0000: starting up libvirt", re.MULTILINE)
# What QEMU is given where it goes on from a saved state: nothing boots then.
_RESTORED = re.compile(r"^-(incoming|loadvm) ", re.MULTILINE)
_PROBE = "pymachine-probe-"
_INTERPRETER = re.compile(r"(python[\d.]*|pymachine(-[a-z-]+)?)$")


def run_folder() -> Path | None:
    """The folder of the run that is on."""
    named = os.environ.get("PYMACHINE_RUN")
    return Path(named) if named else None


def cache_folder() -> Path | None:
    """What the users of one run have for a cache: what one of them found out about this computer, all know."""
    folder = run_folder()
    return folder / "cache" if folder else None


def place(kind: str) -> Path | None:
    """The file to which each count of a kind adds a line."""
    folder = run_folder()
    return folder / "counts" / f"{os.environ.get('PYMACHINE_STAGE', 'tests')}.{kind}" if folder else None


def count(kind: str, times: int = 1) -> None:
    """Count one thing, or several at once."""
    path = place(kind)
    if path is None or times < 1:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(handle, b"1\n" * times)
    finally:
        os.close(handle)


def counted(folder: Path, stage: str) -> Counter[str]:
    """What a stage has counted so far."""
    files = {kind: folder / "counts" / f"{stage}.{kind}" for kind in KINDS}
    return Counter({kind: path.stat().st_size // 2 for kind, path in files.items() if path.exists()})


def guests(since: datetime, logs: Path = DOMAIN_LOGS) -> Counter[str]:
    """Count the virtual machines that libvirt has booted since, as it tells in the logs of its domains.

    A start from a saved state is not a boot.
    """
    found: Counter[str] = Counter()
    for path in logs.glob("*.log"):
        kind = "probes" if path.name.startswith(_PROBE) else "vm_boots"
        found[kind] += _starts(path.read_text(errors="replace"), since)
    return found


def _starts(log: str, since: datetime) -> int:
    _, *starts = _START.split(log)
    booted = (time for time, told in zip(starts[::2], starts[1::2], strict=True) if not _RESTORED.search(told))
    return sum(datetime.fromisoformat(time).replace(tzinfo=UTC) >= since.replace(microsecond=0) for time in booted)


def count_interpreters() -> None:
    """Count from now on every Python that this process starts, by whatever test."""

    def heard(event: str, values: tuple[object, ...]) -> None:
        if event == "subprocess.Popen" and starts_python(values[1]):
            count("interpreters")

    sys.addaudithook(heard)


def starts_python(argv: object) -> bool:
    """Whether a command line is that of a Python program."""
    first = argv[0] if isinstance(argv, Sequence) and not isinstance(argv, str | bytes) and argv else argv
    return _INTERPRETER.search(os.fsdecode(first)) is not None if isinstance(first, str | bytes | Path) else False
