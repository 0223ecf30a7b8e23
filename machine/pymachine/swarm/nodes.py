"""The role, availability and labels of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from pymachine.errors import UsageFault
from pymachine.fleet.inventory.model import NodeSpec
from pymachine.model import Machine, Membership
from pymachine.steps.services import Services
from pymachine.steps.session import Session
from pymachine.swarm.control import UNLOCK_KEY, Control, awaited, control, member_at_work, via_of
from pymachine.swarm.quorum import may_go
from pymachine.swarm.quorum_lease import managers_held
from pymachine.swarm_api.protocol import ClusterEngine, NodeChange
from pymachine.swarm_api.view import DRAINED_LABEL, MACHINE_LABEL, MANAGER, OWN_LABELS, WORKER, SwarmNode
from pymachine.swarm_api.view import wanted_labels as labels_with

TASK_PATIENCE = 180.0


def adjust(name: str, node: NodeSpec, tools: Services, *, via: Sequence[str] = ()) -> Machine:
    """Set role, availability and labels of a node as in ``node``; return the machine's record.

    Labels that an earlier call set and that are not in ``node`` are removed; those of others stay.
    """
    with member_at_work(name, "adjust", tools) as (session, machine):
        with _for_role(machine, node.role, via, session.tools) as manager:
            machine = take_role(machine, node.role, manager, session)
            fit(machine, node, manager.engine)
        return machine


def change(
    name: str,
    tools: Services,
    *,
    role: str | None = None,
    availability: str | None = None,
    via: Sequence[str] = (),
) -> Machine:
    """Promote, demote, drain, pause or activate a node, and leave the rest as it is; return the machine's record.

    A node is drained when no task of a service is left on it.
    """
    with member_at_work(name, "change", tools) as (session, machine):
        with _for_role(machine, role, via, session.tools) as manager:
            machine = take_role(machine, role or manager.get(machine).role, manager, session)
            if availability is not None:
                set_availability(machine, manager, availability, tools)
        return machine


def label(
    name: str, tools: Services, *, put: Mapping[str, str], drop: Sequence[str] = (), via: Sequence[str] = ()
) -> Machine:
    """Set and remove labels of a node, leaving the rest; return the machine's record."""
    reserved = sorted({*put, *drop}.intersection(OWN_LABELS))
    if reserved:
        raise UsageFault(f"the label {reserved[0]} is reserved for pymachine", hint="choose another name")

    def changed(labels: dict[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in {**labels, **put}.items() if key not in drop}
        return {**kept, MACHINE_LABEL: machine.id}

    with member_at_work(name, "label", tools) as (session, machine):
        with control(session.tools, via_of(machine, via, tools)) as manager:
            manager.engine.change_node(manager.get(machine).id, NodeChange(labels=changed))
        return machine


def fit(machine: Machine, node: NodeSpec, engine: ClusterEngine) -> None:
    """Set labels and availability of a node in one change."""
    assert machine.swarm is not None
    wanted = NodeChange(
        availability=node.availability, labels=lambda labels: _fitted(labels, node.labels, machine.id)
    )
    engine.change_node(machine.swarm.node, wanted)


def take_role(machine: Machine, role: str, manager: Control, session: Session) -> Machine:
    """Promote or demote a node and wait for it; save its role, and before that a manager's key."""
    node = manager.get(machine)
    if role == MANAGER:
        machine = remember(machine, replace(node, role=MANAGER), manager, session)
        _promote(machine, node, manager, session.tools)
    else:
        demote(machine.name, node, manager, session.tools)
        machine = remember(machine, replace(node, role=WORKER), manager, session)
    return machine


def remember(machine: Machine, node: SwarmNode, manager: Control, session: Session) -> Machine:
    """Save the machine's Swarm membership, and the unlock key if it is, or will be, a manager."""
    key = manager.engine.unlock_key().encode() if node.role == MANAGER else b""
    known = session.tools.store.secrets(machine.name).get(UNLOCK_KEY, b"")
    membership = Membership(manager.cluster, node.id, node.role)
    if machine.swarm == membership and known == key:
        return machine
    return session.save(machine.with_(swarm=membership), {UNLOCK_KEY: key} if known != key else None)


def _for_role(
    machine: Machine, role: str | None, via: Sequence[str], tools: Services
) -> AbstractContextManager[Control]:
    """Yield a manager, with the managers' lease if their number changes."""

    def changes(manager: Control) -> bool:
        return role is not None and manager.get(machine).role != role

    return managers_held(machine, f"change to {role} of", changes, tools, via_of(machine, via, tools))


def demote(name: str, node: SwarmNode, manager: Control, tools: Services) -> None:
    """Demote a manager and wait until it no longer counts; nothing for a worker."""
    if node.role == WORKER and not node.is_manager:
        return
    may_go(name, node, manager.quorum())
    manager.engine.change_node(node.id, NodeChange(role=WORKER))
    awaited(tools, lambda: _no_manager(manager, node.id), f"{name} to be demoted")


def forget(name: str, node: str, manager: Control, tools: Services) -> None:
    """Remove a node from the list by its id: demote, wait until down, remove.

    It is not an error if it is already gone.
    """
    found = manager.find(node)
    if found is None:
        return
    if found.is_manager:  # one that a recovery left out is none, and cannot be demoted
        demote(name, found, manager, tools)
    awaited(
        tools,
        lambda: _gone_or_down(manager, node),
        f"{name} to be reported as down",
        hint="a node whose engine still answers must leave first",
    )
    manager.engine.remove_node(node)


def set_availability(machine: Machine, manager: Control, availability: str, tools: Services) -> None:
    """Set the availability; a drain waits until no task of a service is left."""
    node = manager.get(machine)
    manager.engine.change_node(node.id, NodeChange(availability=availability, labels=_not_drained_by_us))
    if availability == "drain":
        await_no_tasks(machine.name, node, manager, tools)


def await_no_tasks(name: str, node: SwarmNode, manager: Control, tools: Services) -> None:
    """Wait until no task of a service is left; those on a node that is down cannot stop and are not waited for."""
    awaited(
        tools,
        lambda: _no_tasks(manager, node.id),
        f"the tasks on {name} to stop",
        patience=TASK_PATIENCE,
        hint=f"`docker node ps` shows them; run the command again to continue, or `pymachine swarm activate {name}`",
    )


def _promote(machine: Machine, node: SwarmNode, manager: Control, tools: Services) -> None:
    manager.engine.change_node(node.id, NodeChange(role=MANAGER))

    def arrived() -> SwarmNode | None:
        found = manager.find(node.id)
        return found if found is not None and found.reachable else None

    awaited(
        tools,
        arrived,
        f"{machine.name} to be a reachable manager",
        hint=f"check that TCP port 2377 is open on {machine.name}: managers need it",
    )


def _no_tasks(manager: Control, node: str) -> bool | None:
    found = manager.find(node)
    return True if found is None or found.state != "ready" or not manager.engine.tasks_on(node) else None


def _gone_or_down(manager: Control, node: str) -> bool | None:
    found = manager.find(node)
    return True if found is None or found.state == "down" else None


def _no_manager(manager: Control, node: str) -> bool | None:
    found = manager.find(node)
    return True if found is None or not found.is_manager else None


def _fitted(labels: Mapping[str, str], wanted: Mapping[str, str], machine_id: str) -> dict[str, str]:
    return _not_drained_by_us(labels_with(labels, wanted, machine_id))


def _not_drained_by_us(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key != DRAINED_LABEL}
