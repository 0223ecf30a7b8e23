"""Verbs for single machines whose engine restarts, on machines that may be nodes: drained before, one after another.

Where the Swarm has lost its majority already, or the engine takes no part in it now, there is nothing to drain: the
verb goes on, since it may be what mends that. Of an engine that does not answer us the managers are asked. Where no
manager can be asked although the engine takes part, it is refused: tasks would stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pymachine import power, provision
from pymachine.engine.effects import interrupt
from pymachine.errors import PymachineError, QuorumLost
from pymachine.events import Silent
from pymachine.model import Machine
from pymachine.steps.preview import Preview
from pymachine.steps.services import Services
from pymachine.swarm import drain as drained_nodes
from pymachine.swarm.control import control, engine_of, via_of
from pymachine.swarm.quorum_lease import quorum_held_for
from pymachine.swarm.status import status
from pymachine.swarm_api.protocol import ACTIVE
from pymachine.swarm_api.view import MANAGER

NO_DRAIN = "--no-drain continues without moving its tasks away"


def provision_node(name: str, tools: Services, *, drain: bool = True, **given: Any) -> Machine:
    """Provision a machine, drained meanwhile if it is a node and its engine restarts; return its record."""
    if not drain or not _takes_part(name, tools):
        with quorum_held_for(name, "provision of manager", tools):
            return provision.provision(name, tools, **given)
    quiet = replace(tools, reporter=Silent())
    if not interrupt(provision.preview_provision(name, quiet, **given).effects):
        machine = provision.provision(name, tools, **given)
        drained_nodes.give_back_left(name, tools)
        return machine
    with _away(name, tools):
        return provision.provision(name, tools, **given)


def upgrade_node(name: str, tools: Services, *, drain: bool = True, version: str | None = None) -> Machine:
    """Upgrade a machine's engine, drained meanwhile if it is a node; return its record."""
    if not drain or not _takes_part(name, tools) or not _drainable(name, tools):
        with quorum_held_for(name, "upgrade of manager", tools):
            return provision.upgrade(name, tools, version=version)
    return drained_nodes.upgrade(name, tools, version=version)


def restart_node(name: str, tools: Services, *, drain: bool = True) -> Machine:
    """Restart a machine, drained meanwhile if it is a node; return its record."""
    if not drain or not _takes_part(name, tools):
        with quorum_held_for(name, "restart of manager", tools):
            return power.restart(name, tools)
    with _away(name, tools):
        return power.restart(name, tools)


def stop_node(name: str, tools: Services) -> Machine:
    """Shut a machine down, a manager while no other process takes one away; return its record."""
    with quorum_held_for(name, "stop of manager", tools):
        return power.stop(name, tools)


def kill_node(name: str, tools: Services) -> Machine:
    """Cut a machine's power, a manager's while no other process takes one away; return its record."""
    with quorum_held_for(name, "kill of manager", tools):
        return power.kill(name, tools)


def drained_in(preview: Preview, tools: Services) -> Preview:
    """Return the preview of a verb with whether the node would be drained for it."""
    drains = interrupt(preview.effects) and _takes_part(preview.machine.name, tools)
    return replace(preview, drained=drains)


def turns(names: Sequence[str], tools: Services) -> list[list[str]]:
    """Return the names in lists: each list is done one after another, beside the others.

    The nodes of one Swarm are in one list, its managers first, the leader last of these.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        machine = tools.store.find(name)
        found.setdefault(machine.swarm.cluster if machine and machine.swarm else f" {name}", []).append(name)
    return [_in_order(line, tools) if len(line) > 1 else line for line in found.values()]


def _in_order(names: Sequence[str], tools: Services) -> list[str]:
    records = {name: tools.store.get(name) for name in names}
    managers = [name for name, machine in records.items() if machine.swarm and machine.swarm.role == MANAGER]
    if len(managers) > 1:
        leader = _leader(managers, tools)
        managers.sort(key=lambda name: name == leader)
    return [*managers, *(name for name in names if name not in managers)]


def _leader(managers: Sequence[str], tools: Services) -> str:
    """Who leads; nobody where that cannot be told, which the first drain finds out as well."""
    try:
        return status(tools, managers).leader
    except PymachineError:
        return ""


def _takes_part(name: str, tools: Services) -> bool:
    """Whether the machine is a node on record and takes part now, by its engine's word or else by the managers'."""
    machine = tools.store.get(name)
    if machine.swarm is None:
        return False
    try:
        with engine_of(machine, tools) as engine:
            return engine.standing().state == ACTIVE
    except PymachineError:
        return _is_counted_on(machine, tools)


def _is_counted_on(machine: Machine, tools: Services) -> bool:
    """Whether the managers see a node as ready whose engine does not answer us, its certificate may have ended."""
    try:
        node = status(tools, [machine.name]).node_of(machine.name)
    except PymachineError:
        return False
    return node is not None and node.ready


def _drainable(name: str, tools: Services) -> bool:
    """Whether a manager can be asked; not where the majority is lost. Raises what keeps the others from answering."""
    machine = tools.store.get(name)
    try:
        with control(tools, via_of(machine, (), tools), last=name):
            return True
    except QuorumLost as error:
        tools.reporter.notice(name, f"it is not drained: {error.message}")
        return False
    except PymachineError as error:
        error.hint = "; ".join(filter(None, (error.hint, NO_DRAIN)))
        raise


@contextmanager
def _away(name: str, tools: Services) -> Iterator[None]:
    if not _drainable(name, tools):
        yield
        return
    with drained_nodes.drained(name, tools):
        yield
