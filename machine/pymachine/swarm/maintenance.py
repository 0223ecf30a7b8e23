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

from pymachine import power, provision, snapshots
from pymachine.engine.effects import interrupt
from pymachine.errors import CheckFailed, PymachineError, QuorumLost
from pymachine.events import Silent
from pymachine.model import Machine, State
from pymachine.steps.preview import Preview
from pymachine.steps.services import Services
from pymachine.swarm.absence import refuse_needed, restarted, taken_down
from pymachine.swarm.control import control, via_of
from pymachine.swarm.drain import drained, give_back_left
from pymachine.swarm.participation import is_taking_part
from pymachine.swarm.status import status
from pymachine.swarm.upgrade import upgrade
from pymachine.swarm_api.view import MANAGER

NO_DRAIN = "--no-drain continues without moving its tasks away"


def provision_node(name: str, tools: Services, *, drain: bool = True, **given: Any) -> Machine:
    """Provision a machine; a node is drained if its engine restarts; return its record."""
    takes_part = is_taking_part(name, tools)
    if takes_part is not False and not _interrupted(name, tools, **given):
        machine = provision.provision(name, tools, **given)
        if takes_part and drain:
            give_back_left(name, tools)
        return machine
    with _away(name, "provision of manager", tools, takes_part, drain=drain):
        return provision.provision(name, tools, **given)


def upgrade_node(name: str, tools: Services, *, drain: bool = True, version: str | None = None) -> Machine:
    """Upgrade a machine's engine; a node is drained meanwhile; return its record."""
    takes_part = is_taking_part(name, tools)
    if drain and takes_part and _drainable(name, tools):
        return upgrade(name, tools, version=version)
    with _away(name, "upgrade of manager", tools, takes_part, drain=False if takes_part else drain):
        return provision.upgrade(name, tools, version=version)


def restart_node(name: str, tools: Services, *, drain: bool = True) -> Machine:
    """Restart a machine; a node is drained meanwhile; return its record."""
    with _away(name, "restart of manager", tools, is_taking_part(name, tools), drain=drain):
        return power.restart(name, tools)


def stop_node(name: str, tools: Services, *, force: bool = False) -> Machine:
    """Shut a machine down; return its record. A manager that the quorum needs is refused without ``force``."""
    with taken_down(name, "stop of manager", tools, force=force):
        return power.stop(name, tools)


def kill_node(name: str, tools: Services, *, force: bool = False) -> Machine:
    """Cut a machine's power; return its record. A manager that the quorum needs is refused without ``force``."""
    with taken_down(name, "kill of manager", tools, force=force):
        return power.kill(name, tools)


def _interrupted(name: str, tools: Services, **given: Any) -> bool:
    """Whether a provision restarts the engine."""
    quiet = replace(tools, reporter=Silent())
    return interrupt(provision.preview_provision(name, quiet, **given).effects)


def snapshot_node(name: str, label: str, tools: Services) -> None:
    """Keep a machine's state as ``label``; a manager pauses for it only if the others do without it."""
    with restarted(name, "snapshot of manager", tools):
        snapshots.snapshot(name, label, tools)


def restore_node(name: str, label: str, tools: Services) -> State:
    """Go back to ``label`` and return the state then; a manager only if the others do without it meanwhile."""
    kept = {snapshot.name: snapshot.state for snapshot in snapshots.snapshots(name, tools)}
    purpose, way_on = "restore of manager", f"`pymachine stop -f {name}` first continues without the quorum"
    comes_back = kept.get(label) is State.RUNNING
    with restarted(name, purpose, tools) if comes_back else taken_down(name, purpose, tools, way_on=way_on):
        return snapshots.restore(name, label, tools)


def drained_in(preview: Preview, tools: Services) -> Preview:
    """Return the preview of a verb with whether the node would be drained for it.

    Raises ``CheckFailed`` where the verb would: if nobody knows whether the node takes part, or it is needed.
    """
    name = preview.machine.name
    if not interrupt(preview.effects):
        return replace(preview, drained=False)
    takes_part = is_taking_part(name, tools)
    if takes_part is None:
        raise _unknown(name)
    refuse_needed(name, tools)
    return replace(preview, drained=takes_part)


def _unknown(name: str) -> CheckFailed:
    return CheckFailed(f"{name} is a Swarm node, and neither its engine nor a manager answers", hint=NO_DRAIN)


def turns(names: Sequence[str], tools: Services) -> list[list[str]]:
    """Return the names in lists, each of which is processed one after another, in parallel to the others.

    The nodes of one Swarm are in one list: managers first, the leader last of these, then workers.
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
    """The leader, or nobody if that is unknown, which the first drain reports as well."""
    try:
        return status(tools, managers).leader
    except PymachineError:
        return ""


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
def _away(name: str, purpose: str, tools: Services, takes_part: bool | None, *, drain: bool) -> Iterator[None]:
    """Have a machine be away, drained if it takes part in a Swarm. Raises ``CheckFailed`` if that is not known."""
    if drain and takes_part is None:
        raise _unknown(name)
    if drain and takes_part and _drainable(name, tools):
        with drained(name, tools):
            yield
        return
    with restarted(name, purpose, tools):
        yield
