"""libvirt's daemon for the tests and the demo: the one that runs here, or one of our own that is stopped again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab.ident import state_dir
from lab.sh import LabError, run

URI = "qemu:///system"
DAEMONS = ("virtlogd", "libvirtd")
PATIENCE = 60.0
KVM_NODE = Path("/dev/kvm")
_RUN = Path("/run")


@dataclass
class Daemons:
    """What was started here: nothing, where a daemon ran already."""

    pids: list[int] = field(default_factory=list)
    networks: frozenset[str] = frozenset()


@contextmanager
def running() -> Iterator[None]:
    """Have libvirt answer at ``qemu:///system`` for a while; stop by its id what had to be started."""
    daemons = start()
    try:
        yield
    finally:
        stop(daemons)


def start() -> Daemons:
    """Start libvirt unless it answers already, and return what was started. Raises ``LabError``."""
    if answers():
        return Daemons()
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "start", "libvirtd"], timeout=120)
        return Daemons()
    _open_kvm_to_qemu()
    daemons = Daemons([pid for name in DAEMONS if (pid := _started(name))])
    _await_answer()
    daemons.networks = active_networks()
    return daemons


def stop(daemons: Daemons) -> None:
    """Stop what ``start`` started, and the networks that came up in between, with their dnsmasq and bridge."""
    if not daemons.pids:
        return
    for network in active_networks() - daemons.networks:
        run(["virsh", "-c", URI, "net-destroy", network], check=False)
    for pid in reversed(daemons.pids):
        _end(pid)


def keep() -> Daemons:
    """Start libvirt for longer than this process; ``release`` stops what this started."""
    daemons = start()
    if daemons.pids:
        _record().parent.mkdir(parents=True, exist_ok=True)
        _record().write_text(json.dumps({"pids": daemons.pids, "networks": sorted(daemons.networks)}))
    return daemons


def release() -> bool:
    """Stop what ``keep`` started; False where that was nothing."""
    try:
        known = json.loads(_record().read_text())
    except FileNotFoundError:
        return False
    stop(Daemons([pid for pid in known["pids"] if _is_daemon(pid)], frozenset(known["networks"])))
    _record().unlink()
    return True


def _record() -> Path:
    return state_dir() / "libvirtd.json"


def _is_daemon(pid: int) -> bool:
    """Whether the process is one of ours still: after a reboot the number may be anybody's."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() in DAEMONS
    except FileNotFoundError:
        return False


def answers() -> bool:
    """Whether a daemon answers."""
    if shutil.which("virsh") is None:
        return False
    return run(["virsh", "-r", "-c", URI, "version", "--daemon"], timeout=60, check=False).returncode == 0


def active_networks() -> frozenset[str]:
    """The names of the networks that are up."""
    return frozenset(run(["virsh", "-c", URI, "net-list", "--name"], timeout=60).stdout.split())


def _open_kvm_to_qemu() -> None:
    """Give the node to group kvm, as udev does where it runs.

    Else libvirt finds, for every start of a guest, that QEMU's account cannot do what root can, and looks into it
    for a minute.
    """
    if KVM_NODE.exists():
        shutil.chown(KVM_NODE, group="kvm")
        KVM_NODE.chmod(0o660)


def _started(name: str) -> int:
    """Start one daemon and return its process id, 0 if it ran already."""
    path = Path(f"/usr/sbin/{name}")
    if not path.exists():
        raise LabError(f"there is no {path}: install libvirt-daemon-system")
    pidfile = _RUN / f"{name}.pid"
    if _alive(pidfile):
        return 0
    run([str(path), "-d", "-p", str(pidfile)], timeout=60)
    end = time.monotonic() + PATIENCE
    while not _alive(pidfile):
        if time.monotonic() > end:
            raise LabError(f"{name} did not start within {PATIENCE:.0f} s")
        time.sleep(0.1)
    return int(pidfile.read_text())


def _alive(pidfile: Path) -> bool:
    try:
        os.kill(int(pidfile.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _await_answer() -> None:
    end = time.monotonic() + PATIENCE
    while not answers():
        if time.monotonic() > end:
            raise LabError(f"libvirtd does not answer at {URI} after {PATIENCE:.0f} s")
        time.sleep(0.2)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            os.kill(pid, 0)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
