"""Remove what a cut-off run of the tests left in libvirt: the next one's creates of these names would be refused.

Machines of tests have names of their own, which are listed here. Whoever uses libvirt holds a lock together with the
others; what is left is removed by one who is alone.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.ident import state_dir

if TYPE_CHECKING:
    from lab.kvm_fixtures import Virtual

NAMES = (
    "contract1", "contract2", "vm-cut", "vm-data", "vm-fleet-1", "vm-fleet-2", "vm-life", "vm-plain", "vm-power",
    "vm-round", "vm-speed1", "vm-speed2", "vm-speed3", "vm-twin", "vm-wrong",
)  # fmt: skip
OWN_NETWORK = "pmct-net-"
FILES = {"console logs": Path("/var/log/libvirt/qemu"), "firmware variables": Path("/var/lib/libvirt/qemu/nvram")}


@contextmanager
def swept(virtual: Virtual) -> Iterator[list[str]]:
    """Be one of those that use libvirt's machines, and yield what was removed; nothing while others use them too."""
    removed: list[str] = []
    path = state_dir() / "virtual.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            removed = sweep(virtual)
        except BlockingIOError:
            pass
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield removed


def sweep(virtual: Virtual, names: tuple[str, ...] = NAMES) -> list[str]:
    """Remove the domains, volumes, files and reservations of machines with these names, and return them."""
    virtual.virsh("pool-refresh", "default", check=False)  # console logs are QEMU's, and new to the pool
    found = virtual.leftovers(*names)
    for name in found["domains"]:
        virtual.virsh("destroy", name, check=False)
        virtual.virsh("undefine", name, "--managed-save", "--snapshots-metadata", "--nvram")
    for volume in found["volumes"]:
        virtual.virsh("vol-delete", "--pool", "default", volume)
    for kind, folder in FILES.items():
        for file in found[kind]:
            (folder / file).unlink(missing_ok=True)
    networks = virtual.virsh("net-list", "--all", "--name").split()
    given = [line for network in networks for line in _withdrawn(virtual, network, names)]
    return sorted({*found["domains"], *found["volumes"], *given})


def _withdrawn(virtual: Virtual, network: str, names: tuple[str, ...]) -> set[str]:
    """Take the addresses of these machines back; a network of a test's own goes with them."""
    lines = virtual.leftovers(*names, network=network)["reservations"]
    active = network in virtual.virsh("net-list", "--name").split()
    for line in lines:
        how = ["--config", *(["--live"] if active else [])]
        virtual.virsh("net-update", network, "delete", "ip-dhcp-host", line, *how)
    if lines and network.startswith(OWN_NETWORK):
        virtual.virsh("net-destroy", network, check=False)
        virtual.virsh("net-undefine", network)
    return lines
