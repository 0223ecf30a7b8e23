"""Keep one host booted: start its container, boot it again when it reboots itself, pass a SIGTERM on as a power-off.

Run as a plain script (python -I supervise.py SPEC) so that it starts fast and survives whoever started it; the lab
itself imports the control group functions. Each host gets control groups of its own, because systemd inside takes the
group it finds itself in for its root and would mix with another host's.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

REBOOT = 133  # what systemd-nspawn --keep-unit exits with when the host asked for a reboot
V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids", "hugetlb")


def cgroup_places(name: str) -> list[Path]:
    """One control group folder per mounted hierarchy: below our own on v1, at the top on v2.

    v2 forbids controllers below a group that has processes, so below our own group the host could have none.
    """
    mine = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mine[controllers.removeprefix("name=")] = path
    found = []
    for kind, mount, root, options in _cgroup_mounts():
        names = [key for key in mine if key and set(key.split(",")) & options]
        own = mine[names[0]] if names else mine.get("", "/")
        inside = own[len(root.rstrip("/")) :] if own.startswith(root) else "/"
        alone = kind == "cgroup2" and mount == "/sys/fs/cgroup"
        found.append(Path(mount + ("" if alone else inside.rstrip("/"))) / name)
    return found


def _cgroup_mounts() -> Iterator[tuple[str, str, str, set[str]]]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        fields = left.split()
        if kind in ("cgroup", "cgroup2") and fields[4].startswith("/sys/fs/cgroup"):
            names = {word.removeprefix("name=") for word in options.split(",")}
            yield kind, fields[4], fields[3], names


def make_cgroup(place: Path) -> None:
    """Make the group ready for a process to join."""
    place.mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):
        ours, above = place / name, place.parent / name
        if ours.exists() and above.exists() and not ours.read_text().strip():
            ours.write_text(above.read_text())
    for controller in V2_CONTROLLERS if place.parent == Path("/sys/fs/cgroup") else ():
        with contextlib.suppress(OSError):
            (place.parent / "cgroup.subtree_control").write_text(f"+{controller}")


def cgroup_members(place: Path) -> set[int]:
    """Every process in the group and below."""
    found: set[int] = set()
    for listing in place.rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            found |= {int(word) for word in listing.read_text().split()}
    return found - {0}


def clear_cgroup(place: Path) -> None:
    """Kill what is left in the group, then remove it."""
    end = time.monotonic() + 10
    while place.is_dir() and time.monotonic() < end:
        for pid in cgroup_members(place):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            for folder, _, _ in os.walk(place, topdown=False):
                Path(folder).rmdir()
            return
        time.sleep(0.02)


def clear_run(machine: str) -> None:
    """Remove what nspawn leaves per machine name: newer ones refuse to boot beside it after a reboot or a kill."""
    for folder in ("unix-export", "propagate"):
        place = Path("/run/systemd/nspawn") / folder / machine
        if place.is_dir():
            subprocess.run(["umount", "--lazy", place], check=False, capture_output=True, timeout=10)
            with contextlib.suppress(OSError):
                place.rmdir()


class Supervisor:
    """One host's container, started as often as the host reboots."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.machine = Path(spec["cgroups"][0]).name
        self.argv: list[str] = spec["argv"]
        self.tally = Path(spec.get("tally", os.devnull))
        self.places = [Path(place) for place in spec["cgroups"]]
        self.stopping = False
        self.container: subprocess.Popen[bytes] | None = None

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Power the host off, for good."""
        self.stopping = True
        if self.container:
            self.container.send_signal(signal.SIGTERM)

    def _enter(self) -> None:
        for place in self.places:
            (place / "cgroup.procs").write_text(str(os.getpid()))

    def boot(self) -> int:
        """Run the container to its end."""
        clear_run(self.machine)
        for place in self.places:
            clear_cgroup(place)
            make_cgroup(place)
        with contextlib.suppress(OSError), self.tally.open("ab", buffering=0) as tally:
            tally.write(b"1\n")
        self.container = subprocess.Popen(self.argv, preexec_fn=self._enter)
        return self.container.wait()

    def run(self) -> int:
        """Boot until the host is powered off or killed."""
        signal.signal(signal.SIGTERM, self.stop)
        code = REBOOT
        while code == REBOOT and not self.stopping:
            code = self.boot()
            print(f"-- container ended with {code}", flush=True)
        for place in self.places:
            clear_cgroup(place)
        return code


if __name__ == "__main__":
    sys.exit(Supervisor(json.loads(Path(sys.argv[1]).read_text())).run())
