"""Find and remove what a cut-off run left behind: bridges, rules, mounts, processes and trees nobody owns any more.

A lab is judged by its own record (maker's pid, start time and boot), never by age, so a live one is never touched.
"""

from __future__ import annotations

from pathlib import Path

from lab.core import Lab
from lab.ident import LOCK, locked, state_dir
from lab.network import COMMENT, bridge_aliases, drop_bridge, rule_owners
from lab.sh import run
from lab.tree import unmount_below


def sweep() -> list[str]:
    """Remove what is left of dead labs and return their ids."""
    removed = []
    for lab in Lab.all():
        if not lab.record.live():
            lab.close()
            removed.append(lab.id)
    with locked(LOCK):
        return removed + _orphans()


def _orphans() -> list[str]:
    """Remove bridges whose state folder is gone, rules whose bridge is gone, folders that never got a record."""
    removed = []
    for name, alias in bridge_aliases().items():
        if not (Path(alias.removeprefix(f"{COMMENT}:")) / "lab.json").exists():
            drop_bridge(name)
            removed.append(name)
    for name in rule_owners():
        if not Path(f"/sys/class/net/{name}").exists():
            drop_bridge(name)
            removed.append(name)
    for home in state_dir().glob("pml*"):
        if not (home / "lab.json").exists():
            _remove_folder(home)
            removed.append(home.name)
    return sorted(set(removed))


def _remove_folder(home: Path) -> None:
    unmount_below(home)
    run(["rm", "-rf", "--one-file-system", home], timeout=300)
