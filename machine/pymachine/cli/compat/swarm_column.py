"""The column SWARM of ``ls``: nodes of a Swarm by its first manager, as docker-machine names a master."""

from __future__ import annotations

from collections.abc import Sequence

from pymachine.model import Machine
from pymachine.swarm_api.view import MANAGER


def swarm_column(machines: Sequence[Machine]) -> dict[str, str]:
    """Return the text for each machine that is in a Swarm, by name; managers are marked as masters."""
    masters: dict[str, str] = {}
    for machine in machines:
        if machine.swarm is not None and machine.swarm.role == MANAGER:
            masters.setdefault(machine.swarm.cluster, machine.name)
    return {
        machine.name: _text(machine, masters.get(machine.swarm.cluster, ""))
        for machine in machines
        if machine.swarm is not None
    }


def _text(machine: Machine, master: str) -> str:
    assert machine.swarm is not None
    return f"{machine.name} (master)" if machine.swarm.role == MANAGER else master
