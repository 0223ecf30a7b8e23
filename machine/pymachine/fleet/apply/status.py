"""The current state of a fleet's machines in one table, from their engines, drivers and Swarm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pymachine.errors import NoteUnreadable, PymachineError
from pymachine.fleet.apply.state import failed_of, memory_of
from pymachine.fleet.apply.survey import projects_of, records_of, services_of
from pymachine.fleet.inventory.model import Fleet
from pymachine.fleet.plan import FleetState
from pymachine.model import Machine, State
from pymachine.probe import ProbeResult, probe_machines
from pymachine.steps.services import Services
from pymachine.swarm import status
from pymachine.swarm_api.containers import Container
from pymachine.swarm_api.view import ClusterView

_NOT_ASKED = (State.ERROR, State.TIMEOUT, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class MachineStatusRow:
    """A machine of the fleet; ``remark`` is something that needs attention."""

    name: str
    driver: str
    state: str
    engine: str = ""
    node: str = ""
    address: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A service of a stack, on the Swarm or on one machine; ``known`` is false if nobody could be asked about it."""

    name: str
    replicas: str
    remark: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True)
class Overview:
    """A row for each machine, a sentence on the Swarm, and the services of the fleet's stacks.

    ``quorum_lost`` says that nothing in the Swarm can be changed, ``unasked`` that no manager could be asked;
    ``notes`` say what is not shown, and why.
    """

    machines: tuple[MachineStatusRow, ...]
    swarm: str = ""
    services: tuple[ServiceRow, ...] = ()
    quorum_lost: bool = False
    notes: tuple[str, ...] = ()
    unasked: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything could be asked that the overview has to show."""
        seen = all(row.state not in _NOT_ASKED for row in self.machines)
        return seen and not self.unasked and not self.notes and all(row.known for row in self.services)


def overview(fleet: Fleet, names: Iterable[str], tools: Services, deadline: float) -> Overview:
    """Ask the machines within ``deadline`` seconds, and the Swarm that they form."""
    records, wanted = records_of(tools), set(names)
    listed = {spec.name: spec.driver for spec in fleet.machines if spec.name in wanted}
    surplus = [name for name, m in records.items() if name in wanted and name not in listed and m.fleet == fleet.name]
    found = [records[name] for name in (*listed, *surplus) if name in records]
    results = probe_machines(found, tools, deadline)
    view, trouble = _swarm(found, tools)
    lost = view is not None and view.quorum_lost
    view = view if view and view.spoken_to else None
    failed, notes = _failed(fleet, tools)
    rows = [_row(name, driver, records, results, view) for name, driver in listed.items()]
    rows += [_row(name, records[name].driver, records, results, view, "not in the inventory") for name in surplus]
    said = trouble or (view.quorum.in_words() if view else "")
    answering = [records[name] for name, seen in results.items() if seen.state is State.RUNNING]
    services = (*_services(fleet, wanted, view, tools), *_projects(fleet, wanted, answering, tools))
    shown = tuple(_with_failure(row, failed) for row in rows)
    return Overview(shown, said, services, lost, notes, unasked=bool(trouble))


def _failed(fleet: Fleet, tools: Services) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the last apply did not finish, and what to say where that cannot be read."""
    try:
        return failed_of(fleet.name, tools.store), ()
    except NoteUnreadable as error:
        return (), (f"{error.message}; its stacks are not shown",)


def _services(fleet: Fleet, wanted: set[str], view: ClusterView | None, tools: Services) -> tuple[ServiceRow, ...]:
    """Return the services of the selected stacks that were deployed."""
    memory = memory_of(fleet.name, tools.store)
    names = [name for name, before in memory.stacks.items() if not before.on and name in wanted]
    found = services_of(view, tools) if names and view is not None else None
    if found is None:
        return tuple(ServiceRow(name, "?", "its services could not be determined", known=False) for name in names)
    rows = [
        ServiceRow(one.name, one.replicas, "" if one.settled else one.in_words())
        for one in found
        if one.stack in names
    ]
    lost = [name for name in names if not any(one.stack == name for one in found)]
    return (*rows, *(ServiceRow(name, "0/0", "none of its services exists") for name in lost))


def _projects(fleet: Fleet, wanted: set[str], machines: Sequence[Machine], tools: Services) -> tuple[ServiceRow, ...]:
    """Return the containers of the selected stacks on machines, counted by service."""
    memory = memory_of(fleet.name, tools.store)
    deployed = {name: before for name, before in memory.stacks.items() if before.on and name in wanted}
    found = projects_of(FleetState(deployed), machines, tools)
    return tuple(row for name in deployed for row in _project(name, deployed[name].on, found.get(name)))


def _project(name: str, on: str, found: tuple[Container, ...] | None) -> list[ServiceRow]:
    if found is None:
        return [ServiceRow(name, "?", f"its containers on {on} could not be determined", known=False)]
    if not found:
        return [ServiceRow(name, "0/0", f"none of its containers is on {on}")]
    by_service: dict[str, list[Container]] = {}
    for container in found:
        by_service.setdefault(container.service, []).append(container)
    return [_counted(f"{name}-{service}", containers) for service, containers in by_service.items()]


def _counted(name: str, containers: Sequence[Container]) -> ServiceRow:
    ill = [container for container in containers if not container.settled]
    told = "; ".join(f"{one.name}: {one.in_words()}" for one in ill)
    return ServiceRow(name, f"{len(containers) - len(ill)}/{len(containers)}", told)


def _swarm(machines: list[Machine], tools: Services) -> tuple[ClusterView | None, str]:
    members = [machine.name for machine in machines if machine.swarm is not None]
    if not members:
        return None, ""
    try:
        view = status(tools, members)
    except PymachineError as error:
        return None, error.message
    return view, view.trouble


def _row(
    name: str,
    driver: str,
    records: Mapping[str, Machine],
    results: Mapping[str, ProbeResult],
    view: ClusterView | None,
    remark: str = "",
) -> MachineStatusRow:
    machine = records.get(name)
    if machine is None:
        return MachineStatusRow(name, driver, "-", remark="not created yet")
    result = results[name]
    address = machine.endpoint.host if machine.endpoint else machine.ssh.host if machine.ssh else ""
    return MachineStatusRow(
        name, driver, result.state, result.engine or machine.engine_version or "", _node_of(machine, view), address,
        remark or result.reason,
    )  # fmt: skip


def _node_of(machine: Machine, view: ClusterView | None) -> str:
    node = view.node_of(machine.name) if view else None
    if node is None:
        return f"{machine.swarm.role}, unknown" if machine.swarm else ""
    role = "leader" if node.leader else node.role
    others = [part for part in (node.state, node.availability) if part not in ("ready", "active")]
    return ", ".join((role, *others))


def _with_failure(row: MachineStatusRow, failed: Iterable[str]) -> MachineStatusRow:
    if row.name not in failed or row.remark:
        return row
    return MachineStatusRow(
        row.name, row.driver, row.state, row.engine, row.node, row.address, "the last apply failed here"
    )
