"""What holds between the parts of an inventory: Swarm and its managers, stacks and their machines."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from pymachine.engine.options import wanted_config
from pymachine.errors import UsageFault
from pymachine.fleet.inventory.context import Reading
from pymachine.fleet.inventory.errors import where
from pymachine.fleet.inventory.fields import checked, refuse
from pymachine.fleet.inventory.keys import HOOKS, STACK, SWARM, check_fleet
from pymachine.fleet.inventory.model import MachineSpec, Spot, StackSpec, SwarmSpec
from pymachine.fleet.inventory.yaml_nodes import ABSENT, Items, Table, Value, is_null, near

MANY_MANAGERS = 7  # Docker's own advice: more make every decision slower and none safer


def fleet_name(value: Value | None, spot: Spot, reading: Reading) -> str:
    """Return the fleet's name, empty with a fault noted."""
    if value is None or is_null(value):
        reading.fault_at(spot, "key 'fleet' is missing", "write fleet: NAME")
        return ""
    found = checked(value, check_fleet, reading)
    return "" if found is ABSENT else str(found)


def hooks_of(value: Value | None, reading: Reading) -> dict[str, str]:
    """Return the hooks by event."""
    found = {} if value is None or is_null(value) else HOOKS.read(value, reading)
    return {} if found is ABSENT else found


@dataclass(frozen=True, slots=True)
class WantedNodes:
    """Who is to be in the Swarm, in order; ``certain`` says that it is known of every machine."""

    managers: tuple[str, ...]
    workers: tuple[str, ...]
    places: Mapping[str, Spot]
    certain: bool

    @property
    def vacant(self) -> bool:
        """Whether there is no manager, and none whose entry just could not be read."""
        return self.certain and not self.managers


def swarm_of(value: Value | None, nodes: WantedNodes, reading: Reading) -> SwarmSpec | None:
    """Return the Swarm, None where no machine is to be in one."""
    given = value is not None and not is_null(value)
    found = SWARM.read(value, reading) if value is not None and given else {}
    fields = {} if found is ABSENT else dict(found)
    if isinstance(value, Table):
        _pools(value, fields, reading)
    if nodes.vacant and value is not None and given:
        reading.fault(value, "a swarm without a manager", _MANAGER)
    elif nodes.vacant and nodes.workers:
        first = nodes.workers[0]
        reading.fault_at(nodes.places[first], f"{first} is a worker, and there is no manager", _MANAGER)
    if not nodes.managers:
        return None
    _count(len(nodes.managers), nodes.places[nodes.managers[-1]], reading)
    return SwarmSpec(address_pools=fields.pop("address_pool", ()), **fields)


_MANAGER = "give a machine swarm: manager"


def _pools(value: Value, found: Mapping[str, Any], reading: Reading) -> None:
    assert isinstance(value, Table)
    pools = [ipaddress.IPv4Network(pool) for pool in found.get("address_pool", ())]
    place = value.keys.get("address_pool", value.spot)
    for one, other in combinations(pools, 2):
        if one.overlaps(other):
            reading.fault_at(place, f"address pools {one} and {other} overlap")
    size = found.get("subnet_size", SwarmSpec().subnet_size)
    for pool in pools:
        if pool.prefixlen > size:
            reading.fault_at(place, f"address pool {pool} is smaller than one subnet of /{size}")


def _count(count: int, spot: Spot, reading: Reading) -> None:
    if count % 2 == 0:
        reading.findings.warn(spot, f"{count} managers survive no more losses than {count - 1}: use an odd number")
    if count > MANY_MANAGERS:
        reading.findings.warn(spot, f"{count} managers are slower and no safer in practice than {MANY_MANAGERS}")


def no_live_restore(machines: Sequence[MachineSpec], reading: Reading) -> None:
    """Note members of the Swarm with ``live-restore``: their engines would refuse to start."""
    for machine in machines:
        if machine.swarm and _live_restore(machine):
            reading.fault_at(
                machine.spot,
                f"{machine.name} has live-restore and a Swarm role: an engine supports only one of them",
            )


def _live_restore(machine: MachineSpec) -> bool:
    if not machine.engine.config and not machine.engine.opts:
        return False
    try:
        return wanted_config(machine.engine, "").get("live-restore") is True
    except UsageFault:
        return False  # a fault is noted for it already


def stacks_of(
    value: Value | None, names: Sequence[str] | None, nodes: WantedNodes, reading: Reading
) -> tuple[StackSpec, ...]:
    """Return the stacks. ``names`` are those of all machines, None while some could not be read."""
    if value is None or is_null(value):
        return ()
    if not isinstance(value, Items):
        refuse(value, "a list of stacks", reading)
        return ()
    places: dict[tuple[str, str | None], Spot] = {}
    stacks = []
    for item in value.items:
        stack = _stack(item, names, reading)
        if stack is None:
            continue
        if stack.on is None and nodes.vacant:
            reading.fault(
                item, f"stack {stack.name!r} needs a Swarm, and there is none", "name its machine: on: NAME"
            )
        first = places.get((stack.name, stack.on))
        if first is not None:
            reading.fault(item, f"stack {stack.name!r} is already defined at {where(first)}")
        places[stack.name, stack.on] = item.spot
        stacks.append(stack)
    return tuple(stacks)


def _stack(item: Value, names: Sequence[str] | None, reading: Reading) -> StackSpec | None:
    found = STACK.read(item, reading)
    if found is ABSENT:
        return None
    STACK.require(item, reading)
    on = found.get("on")
    if on is not None and names is not None and on not in names:
        assert isinstance(item, Table)
        reading.fault(item.cells["on"], f"no machine {on!r}", near(on, names) if names else None)
    if "name" not in found or "file" not in found:
        return None
    return StackSpec(
        found["name"], found["file"], on, found.get("env_file", ()), found.get("environment", {}),
        found.get("build", True), found.get("prune", True), found.get("wait", 300), item.spot,
    )  # fmt: skip


def same_hosts(machines: Sequence[MachineSpec], reading: Reading) -> None:
    """Warn of two machines that are one host."""
    seen: dict[tuple[Any, ...], MachineSpec] = {}
    for machine in machines:
        options = machine.options
        if "ssh_host" not in options:
            continue
        key = (options["ssh_host"], options.get("ssh_port"), options.get("ssh_jump"))
        first = seen.setdefault(key, machine)
        if first is not machine:
            reading.findings.warn(machine.spot, f"{machine.name} is the same host as {first.name}: {key[0]}")
