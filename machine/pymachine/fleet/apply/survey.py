"""How a fleet is: one look at every host over the connection that is kept, one at its Swarm, what was noted of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pymachine.clock import Deadline
from pymachine.driver import Driver, PowerControl
from pymachine.engine.effects import Change
from pymachine.errors import DriverMissing, PymachineError, Unreachable
from pymachine.events import surveying
from pymachine.fleet.apply.compose import Composed, resolve, without_compose
from pymachine.fleet.apply.state import memory_of
from pymachine.fleet.apply.subprocesses import Computer
from pymachine.fleet.inventory.model import Fleet, MachineSpec, StackSpec
from pymachine.fleet.plan import FleetState, Observed, ObservedMachine, Traits, Unresolved
from pymachine.fleet.plan.diff import changed_options
from pymachine.fleet.plan.hosts import read_host
from pymachine.fleet.plan.observed import MOVE, REACH, REPLACE
from pymachine.fleet.plan.renewals import renewals
from pymachine.model import EngineSpec, Machine, Phase, State
from pymachine.parallel import spread
from pymachine.steps.certificates import sans_of
from pymachine.steps.relocation import leads_to_another_host
from pymachine.steps.renewal import client_folder
from pymachine.steps.services import Services
from pymachine.steps.session import Session
from pymachine.steps.status import Inspections
from pymachine.steps.survey import collect_facts
from pymachine.store import readable
from pymachine.swarm import status
from pymachine.swarm_api.containers import Container
from pymachine.swarm_api.services import Service
from pymachine.swarm_api.view import ClusterView
from pymachine.tls import needs

WIDTH = 100  # more threads than this cost more than they give
INSPECT_DEADLINE = 5.0
ASK_DEADLINE = 20.0
# A host that has its engine needs no package sources: nothing is probed for it.
_NO_PROBE = EngineSpec(install="distro")
_TELLING = (State.STOPPED, State.PAUSED, State.SAVED, State.MISSING)


def records_of(tools: Services) -> dict[str, Machine]:
    """Return all records that can be read, by name."""
    return {machine.name: machine for machine in readable(tools.store)}


Settle = Callable[[Machine, ObservedMachine, Mapping[str, Traits]], None]


def observe_fleet(
    fleet: Fleet,
    records: Mapping[str, Machine],
    tools: Services,
    *,
    computer: Computer,
    width: int = WIDTH,
    settle: Settle | None = None,
) -> Observed:
    """Look at the hosts of the fleet, those that its inventory does not have any more too. Changes nothing.

    ``settle`` is called with each machine as soon as it is found. ``computer`` resolves the stacks with its
    docker client.
    """
    specs = {spec.name: spec for spec in fleet.machines}
    members = [m for m in records.values() if m.name in specs or (fleet.name and m.fleet == fleet.name)]
    ready = [machine for machine in members if machine.phase is Phase.READY]
    traits = traits_of([*(spec.driver for spec in fleet.machines), *(m.driver for m in members)], tools)
    inspections = Inspections(ready, tools)
    findings: dict[str, ObservedMachine] = {}

    def observe_one(machine: Machine) -> ObservedMachine:
        spec = specs.get(machine.name)
        finding = _found(machine, spec.engine if spec else machine.engine, tools, inspections)
        return replace(finding, another=_is_another(machine, spec, traits, tools)) if spec else finding

    with surveying(tools.reporter, "checking machines", [machine.name for machine in ready]) as seen:
        for machine, found in spread(ready, observe_one, width):
            finding = findings[machine.name] = _failed(found) if isinstance(found, PymachineError) else found
            seen(machine.name)
            if settle is not None:
                settle(machine, finding, traits)
    memory = memory_of(fleet.name, tools.store)
    view = _view([machine for machine in members if machine.swarm is not None], tools)
    on_swarm = any(not before.on for before in memory.stacks.values())
    resolved = _resolved(fleet, computer, tools)
    return Observed(
        findings,
        view,
        traits,
        memory,
        {stack.name: found.digest(stack) for stack, found in resolved if isinstance(found, Composed)},
        {stack.name: found.services(stack) for stack, found in resolved if isinstance(found, Composed)},
        services_of(view, tools) if view and on_swarm else None,
        projects_of(memory, [records[name] for name, found in findings.items() if found.seen], tools, width),
        {stack.name: found for stack, found in resolved if not isinstance(found, Composed)},
        without_compose(computer) if any(before.on for before in memory.stacks.values()) else None,
    )


def _resolved(fleet: Fleet, computer: Computer, tools: Services) -> list[tuple[StackSpec, Composed | Unresolved]]:
    found = []
    with surveying(tools.reporter, "reading stacks", [stack.name for stack in fleet.stacks]) as seen:
        for stack in fleet.stacks:
            found.append((stack, resolve(stack, computer)))
            seen(stack.name)
    return found


def traits_of(drivers: Iterable[str], tools: Services) -> dict[str, Traits]:
    """Return what plans have to know of drivers; one of a record that is not installed is left out."""
    found = {}
    for name in dict.fromkeys(drivers):
        try:
            kind = tools.load_driver(name)
        except DriverMissing:
            continue
        found[name] = Traits(kind.options, kind.preexisting, dict(getattr(kind, "alters", {})))
    return found


def _found(machine: Machine, wanted: EngineSpec, tools: Services, inspections: Inspections) -> ObservedMachine:
    try:
        return find(machine, wanted, tools, inspections)
    except PymachineError as error:
        return _failed(error)


def _is_another(machine: Machine, spec: MachineSpec, traits: Mapping[str, Traits], tools: Services) -> bool:
    """Whether the inventory has another address for a machine, and another host answers there."""
    known = traits.get(spec.driver)
    if known is None or spec.driver != machine.driver:
        return False
    values = changed_options(spec, machine, known).values
    if MOVE not in values or REPLACE in values:
        return False
    session = Session(tools, tools.driver_of(machine), recorded=False)
    return leads_to_another_host(machine, {**values.get(REACH, {}), **values[MOVE]}, session)


def find(machine: Machine, wanted: EngineSpec, tools: Services, inspections: Inspections) -> ObservedMachine:
    """Look at one machine. Raises ``PymachineError`` where neither its host nor its driver can tell."""
    driver = tools.driver_of(machine)
    if (off := _switched_off(machine, driver, inspections)) is not None:
        return off
    if machine.ssh is None:
        return _by_engine(machine, tools)
    session = Session(tools, driver, recorded=False)
    try:
        facts = collect_facts(machine.with_(engine=replace(_NO_PROBE, port=wanted.port)), session)
        if facts.engine is None:  # it is to be installed again: now that is a question
            facts = collect_facts(machine.with_(engine=wanted), session)
    except Unreachable as error:
        return _explained(machine, driver, error)
    finally:
        session.disconnect()
    return read_host(
        machine, wanted, facts, own_host=not driver.preexisting, renewals=renewals_of(machine, wanted, tools)
    )


def renewals_of(machine: Machine, wanted: EngineSpec, tools: Services) -> tuple[Change, ...]:
    """Return which certificates of a machine are to be issued again, and why."""
    if machine.certificates is None:
        return ()
    now = datetime.fromtimestamp(tools.now(), UTC)
    return renewals(needs(machine.certificates, sans_of(machine.with_(engine=wanted)), now))


def services_of(view: ClusterView, tools: Services) -> tuple[Service, ...] | None:
    """Return the services of all stacks of a Swarm; None where they could not be asked for."""
    machine = tools.store.find(view.spoken_to) if view.spoken_to else None
    if machine is None or machine.endpoint is None:
        return None
    try:
        folder = client_folder(machine, tools)
        with tools.connect_cluster(machine.endpoint, folder, deadline=ASK_DEADLINE) as engine:
            return engine.services()
    except PymachineError:
        return None


def projects_of(
    memory: FleetState, machines: Iterable[Machine], tools: Services, width: int = WIDTH
) -> dict[str, tuple[Container, ...] | None]:
    """Return the containers of stacks deployed on these machines; None where they could not be asked for."""
    there = {machine.name: machine for machine in machines}
    wanted = [(name, there[before.on]) for name, before in memory.stacks.items() if before.on in there]
    asked = spread(wanted, lambda one: _containers(*one, tools), width)
    return {name: None if isinstance(found, PymachineError) else found for (name, _), found in asked}


def _containers(project: str, machine: Machine, tools: Services) -> tuple[Container, ...]:
    if machine.endpoint is None:
        raise Unreachable(f"no engine of {machine.name} is on record")
    folder = client_folder(machine, tools)
    with tools.connect_cluster(machine.endpoint, folder, deadline=ASK_DEADLINE) as engine:
        return engine.containers(project)


def _view(members: list[Machine], tools: Services) -> ClusterView | None:
    return status(tools, [machine.name for machine in members]) if members else None


def _switched_off(machine: Machine, driver: Driver, inspections: Inspections) -> ObservedMachine | None:
    """Ask a driver that has power over its machines before anything waits for one that is off."""
    if not isinstance(driver, PowerControl) or machine.handle is None:
        return None
    found = inspections.status(machine, Deadline(INSPECT_DEADLINE))
    return ObservedMachine(found.state, found.detail) if found.state in _TELLING else None


def _by_engine(machine: Machine, tools: Services) -> ObservedMachine:
    """A machine without a host of ours: only its engine can be asked."""
    if machine.endpoint is None:
        return ObservedMachine(State.UNKNOWN, "neither a host nor an engine is on record")
    answer = tools.ask_engine(machine.endpoint, client_folder(machine, tools), deadline=ASK_DEADLINE)
    return ObservedMachine(State.RUNNING, engine=answer.version)


def _explained(machine: Machine, driver: Driver, error: Unreachable) -> ObservedMachine:
    """Tell a host that is gone from one that does not answer, by what the driver sees."""
    found = driver.inspect(machine.handle, deadline=INSPECT_DEADLINE) if machine.handle is not None else None
    state = found.state if found is not None and found.state in _TELLING else State.UNREACHABLE
    return ObservedMachine(state, error.message)


def _failed(error: PymachineError) -> ObservedMachine:
    state = State.UNREACHABLE if isinstance(error, Unreachable) else State.ERROR
    return ObservedMachine(state, error.message)
