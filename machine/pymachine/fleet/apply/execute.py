"""Executes the actions of a plan with the operations of the single commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from pymachine import power, provision, swarm
from pymachine.bake import bake_and_create
from pymachine.create_request import CreateRequest
from pymachine.driver import InPlaceUpdate, Locates, UpdatesInPlace
from pymachine.errors import CheckFailed, NotSupported, PymachineError
from pymachine.fleet.apply import deploy
from pymachine.fleet.apply.convergence import STEP, Deployment, converge
from pymachine.fleet.apply.hooks import run_hook
from pymachine.fleet.apply.state import note_stack, note_swarm
from pymachine.fleet.apply.subprocesses import Computer
from pymachine.fleet.apply.survey import records_of
from pymachine.fleet.inventory.model import Fleet, MachineSpec, NodeSpec, StackSpec, SwarmSpec
from pymachine.fleet.plan import Action, ActionKind, Deployed, Payload, payloads
from pymachine.interruption import unstopped
from pymachine.model import Machine, Phase
from pymachine.remove import remove
from pymachine.resize import Size, resize
from pymachine.steps.allocate import placed
from pymachine.steps.journal import journalled
from pymachine.steps.power import handle_of, reported
from pymachine.steps.request import options_on_record, request_for
from pymachine.steps.services import Services
from pymachine.steps.session import working
from pymachine.swarm_api.view import MANAGER

Act = Callable[["ActionRunner", Action, Any], None]  # with the payload of its kind


@dataclass(frozen=True, slots=True)
class ActionRunner:
    """Executes actions, and has what they share: the wanted fleet, and the outside that they act on."""

    fleet: Fleet
    tools: Services
    computer: Computer
    stopped: Callable[[], bool] = bool  # whether what waits has to end

    def do(self, action: Action) -> None:
        """Execute one action. Raises ``PymachineError``."""
        _ACTS[type(action.payload)](self, action, action.payload)

    def before(self, event: str, name: str = "", machine: Machine | None = None) -> None:
        """Run the hook before an event; its failure prevents the operation. Raises ``PymachineError``."""
        run_hook(f"before_{event}", self.fleet, self.tools.reporter, self.computer, name, machine)

    def after(self, event: str, name: str = "", machine: Machine | None = None) -> None:
        """Run the hook after an event; its failure is only reported, because the operation is done."""
        try:
            run_hook(f"after_{event}", self.fleet, self.tools.reporter, self.computer, name, machine)
        except PymachineError as error:
            self.tools.reporter.notice(name or self.fleet.name, error.message)

    def spec(self, name: str) -> MachineSpec:
        """Return a machine of the inventory."""
        return next(spec for spec in self.fleet.machines if spec.name == name)

    def node(self, name: str) -> NodeSpec:
        """Return the wanted Swarm role of a machine."""
        node = self.spec(name).swarm
        assert node is not None, "only machines with a Swarm role can be planned for one"
        return node

    def stack(self, name: str) -> StackSpec:
        """Return a stack of the inventory."""
        return next(stack for stack in self.fleet.stacks if stack.name == name)

    def managers(self) -> list[Machine]:
        """Return the fleet's managers on record, ordered by name."""
        return [
            machine
            for machine in records_of(self.tools).values()
            if machine.fleet == self.fleet.name and machine.swarm is not None and machine.swarm.role == MANAGER
        ]

    def via(self, but: str = "") -> list[str]:
        """Return the names of the managers to ask, without the machine concerned."""
        return [machine.name for machine in self.managers() if machine.name != but]

    def drained(self, action: Action) -> AbstractContextManager[None]:
        """Drain a node while its engine restarts."""
        if not action.drains:
            return nullcontext()
        return swarm.drained(action.subject, self.tools, via=self.via() or [action.subject])

    @contextmanager
    def switched_off(self, action: Action) -> Iterator[None]:
        """Power a machine off, drained before, and power it on again whatever happens."""
        with self.drained(action):
            power.stop(action.subject, self.tools)
            try:
                yield
            finally:
                power.start(action.subject, unstopped(self.tools))


def _create(runner: ActionRunner, action: Action, payload: Payload) -> None:
    order = _order(runner, action.subject)
    runner.before("create", action.subject, runner.tools.store.find(action.subject))
    runner.after("create", action.subject, bake_and_create(order, runner.tools))


def _order(runner: ActionRunner, name: str) -> CreateRequest:
    spec = runner.spec(name)
    options = runner.tools.load_driver(spec.driver).options(**spec.options)
    return CreateRequest(name, spec.driver, options, spec.engine, spec.labels, fleet=runner.fleet.name)


def _remake(runner: ActionRunner, action: Action, payload: payloads.Remake) -> None:
    """Remove what is left and create the machine again.

    A node that cannot be removed from the list now is forgotten later.
    """
    machine = runner.tools.store.find(action.subject)
    if machine is not None:  # else an earlier try came that far
        remove(machine.name, runner.tools, force=not _taken_out(runner, machine))
    _create(runner, action, payload)


def _taken_out(runner: ActionRunner, machine: Machine) -> bool:
    """Remove the node of a missing host from the list; return whether that was possible."""
    if machine.swarm is None or machine.phase is not Phase.READY:
        return True
    try:
        swarm.leave(machine.name, runner.tools, via=runner.via(machine.name), force=True)
    except PymachineError as error:
        runner.tools.reporter.notice(machine.name, f"its node stays on the list: {error.message}")
        return False
    return True


def _replace(runner: ActionRunner, action: Action, payload: payloads.Replace) -> None:
    if runner.tools.store.find(action.subject) is not None:  # else an earlier try came that far
        _take_out(runner, action.subject, lost=payload.lost)
        gone = remove(action.subject, runner.tools, force=payload.lost)
        for left in gone.left_behind:
            runner.tools.reporter.notice(action.subject, f"left behind: {left}")
    _create(runner, action, payload)


def _remove(runner: ActionRunner, action: Action, payload: payloads.Remove) -> None:
    machine = runner.tools.store.find(action.subject)
    if machine is None:
        return
    runner.before("remove", machine.name, machine)
    if machine.swarm is not None and machine.phase is Phase.READY:
        _take_out(runner, machine.name, lost=payload.lost, dissolve=payload.dissolve)
    remove(machine.name, runner.tools)
    runner.after("remove", machine.name, machine)


def _leave(runner: ActionRunner, action: Action, payload: payloads.Leave) -> None:
    _take_out(runner, action.subject)


def _take_out(runner: ActionRunner, name: str, *, lost: bool = False, dissolve: bool = False) -> None:
    machine = runner.tools.store.get(name)
    if machine.swarm is None:
        return
    via = runner.via(machine.name) or [machine.name]
    swarm.leave(machine.name, runner.tools, via=via, force=lost, dissolve=dissolve)


def _adopt(runner: ActionRunner, action: Action, payload: payloads.Adopt) -> None:
    _record(runner, action.subject, lambda machine: machine.with_(fleet=runner.fleet.name))


def _relabel(runner: ActionRunner, action: Action, payload: payloads.Relabel) -> None:
    labels = runner.spec(action.subject).labels
    _record(runner, action.subject, lambda machine: _with_options(machine, payload.options).with_(labels=labels))


def _reach(runner: ActionRunner, action: Action, payload: payloads.ChangeLogin) -> None:
    """Record the new access to the same host after it has been used successfully."""
    spec = runner.spec(action.subject)
    driver = runner.tools.driver(spec.driver)
    if not isinstance(driver, Locates):
        raise NotSupported(f"driver {spec.driver} cannot change how {spec.name} is reached", hint="use --replace")
    options = runner.tools.load_driver(spec.driver).options(**spec.options)
    with (
        reported(spec.name, action.title, runner.tools),
        working(spec.name, f"reach {spec.name}", runner.tools, driver) as session,
    ):
        machine = runner.tools.store.get(spec.name)
        located = driver.locate(request_for(machine, options, runner.tools))
        moved = placed(_with_options(machine, payload.options), located)
        session.transport(moved)
        session.save(moved)


def _move(runner: ActionRunner, action: Action, payload: payloads.Move) -> None:
    with runner.drained(action):
        provision.provision(action.subject, runner.tools, reach=payload.options)


def _record(runner: ActionRunner, name: str, change: Callable[[Machine], Machine]) -> None:
    machine = runner.tools.store.get(name)
    with working(name, f"change {name}", runner.tools, runner.tools.driver_of(machine)) as session:
        session.save(change(runner.tools.store.get(name)))


def _with_options(machine: Machine, given: Mapping[str, Any]) -> Machine:
    return machine.with_(options={**machine.options, **given})


def _start(runner: ActionRunner, action: Action, payload: payloads.Start) -> None:
    power.start(action.subject, runner.tools)


def _resize(runner: ActionRunner, action: Action, payload: payloads.Resize) -> None:
    size = Size(payload.cpus, payload.memory, payload.disk)
    with runner.switched_off(action):
        resize(action.subject, size, runner.tools)
        _record(runner, action.subject, lambda machine: _with_options(machine, payload.options))


def _refit(runner: ActionRunner, action: Action, payload: payloads.Refit) -> None:
    """Have the driver change the instance, powered off meanwhile if necessary."""
    name, tools = action.subject, runner.tools
    machine = tools.store.get(name)
    driver = tools.driver_of(machine)
    if not isinstance(driver, UpdatesInPlace):
        raise NotSupported(f"driver {machine.driver} cannot change {name}", hint="use --replace")
    change = _refitting(runner, machine, tuple(payload.options))
    with (
        runner.switched_off(action) if driver.needs_power_off(handle_of(machine), change) else nullcontext(),
        reported(name, action.title, tools),
        working(name, f"refit {name}", tools, driver) as session,
    ):
        machine = tools.store.get(name)
        with journalled(session, machine, "refit"):
            driver.refit(handle_of(machine), change, tools.listener(name, action.title))
            session.touched = True
            session.save(_with_options(machine, payload.options))


def _refitting(runner: ActionRunner, machine: Machine, names: tuple[str, ...]) -> InPlaceUpdate:
    kind = runner.tools.load_driver(machine.driver).options
    after = kind(**runner.spec(machine.name).options)
    return InPlaceUpdate(options_on_record(machine, kind), after, names, machine.engine.port)


def _install(runner: ActionRunner, action: Action, payload: payloads.InstallEngine) -> None:
    provision.provision(action.subject, runner.tools, spec_changes=payload.changes)


def _configure(runner: ActionRunner, action: Action, payload: payloads.Configure) -> None:
    with runner.drained(action):
        provision.provision(action.subject, runner.tools, spec_changes=payload.changes)


def _renew(runner: ActionRunner, action: Action, payload: payloads.Renew) -> None:
    with runner.drained(action):
        provision.provision(action.subject, runner.tools)


def _upgrade(runner: ActionRunner, action: Action, payload: payloads.UpgradeEngine) -> None:
    name, version = action.subject, payload.version
    if action.drains:
        swarm.upgrade(name, runner.tools, version=version, via=runner.via() or [name])
    else:
        provision.upgrade(name, runner.tools, version=version)


def _init(runner: ActionRunner, action: Action, payload: payloads.Init) -> None:
    spec = runner.fleet.swarm or SwarmSpec()
    peers = [m.name for m in runner.fleet.machines if m.swarm and runner.tools.store.find(m.name)]
    swarm.init(action.subject, spec, runner.node(action.subject), runner.tools, peers=peers)
    note_swarm(runner.fleet.name, runner.tools.store, spec)


def _settings(runner: ActionRunner, action: Action, payload: payloads.UpdateSwarm) -> None:
    spec = runner.fleet.swarm or SwarmSpec()
    with reported(runner.fleet.name, action.title, runner.tools):
        swarm.update(spec, runner.tools, via=runner.via())
    note_swarm(runner.fleet.name, runner.tools.store, spec)


def _join(runner: ActionRunner, action: Action, payload: payloads.Join) -> None:
    name = action.subject
    swarm.join(name, runner.node(name), runner.tools, via=runner.via(name) or [name])


def _adjust(
    runner: ActionRunner, action: Action, payload: payloads.Adjust | payloads.Promote | payloads.Demote
) -> None:
    name = action.subject
    swarm.adjust(name, runner.node(name), runner.tools, via=runner.via(name) or [name])


def _unlock(runner: ActionRunner, action: Action, payload: payloads.Unlock) -> None:
    swarm.unlock(action.subject, runner.tools)


def _forget(runner: ActionRunner, action: Action, payload: payloads.Forget) -> None:
    with reported(runner.fleet.name, action.title, runner.tools):
        swarm.remove_node(action.subject, runner.tools, via=runner.via())


def _deploy(runner: ActionRunner, action: Action, payload: payloads.Deploy) -> None:
    stack = runner.stack(action.subject)
    with reported(stack.name, action.title, runner.tools):
        if stack.on:
            machine = runner.tools.store.get(stack.on)
            names = deploy.up(stack, machine, runner.tools, runner.computer)
            place, specs = machine.id, {}
        else:
            view = swarm.status(runner.tools, runner.via())
            machine = runner.tools.store.get(_speaker(view.spoken_to))
            names = deploy.deploy(stack, machine, len(view.members), runner.tools, runner.computer)
            place, specs = view.id, deploy.specs_of(stack.name, machine, runner.tools)
    # Before its services run: it is there, and has to go when the inventory does not list it any more.
    done = Deployed(payload.digest, stack.on or "", place, specs)
    note_stack(runner.fleet.name, runner.tools.store, stack.name, done)
    with reported(stack.name, STEP, runner.tools):
        converge(Deployment(stack, names, machine), runner.tools, runner.stopped)


def _speaker(name: str) -> str:
    if not name:
        raise CheckFailed("no manager of the Swarm can be reached", hint="`pymachine swarm status` shows why")
    return name


def _withdraw(runner: ActionRunner, action: Action, payload: payloads.Withdraw) -> None:
    name, on = action.subject, payload.on
    with reported(name, action.title, runner.tools):
        if on:
            deploy.down(name, runner.tools.store.get(on), runner.tools, runner.computer)
        else:
            view = swarm.status(runner.tools, runner.via())
            manager = runner.tools.store.get(_speaker(view.spoken_to))
            deploy.withdraw(name, manager, runner.tools, runner.computer)
    note_stack(runner.fleet.name, runner.tools.store, name, None)


_ACTS: Mapping[type[Payload], Act] = {
    payloads.Create: _create,
    payloads.Resume: _create,
    payloads.Remake: _remake,
    payloads.Replace: _replace,
    payloads.Adopt: _adopt,
    payloads.Start: _start,
    payloads.ChangeLogin: _reach,
    payloads.Move: _move,
    payloads.Resize: _resize,
    payloads.Refit: _refit,
    payloads.InstallEngine: _install,
    payloads.Configure: _configure,
    payloads.Renew: _renew,
    payloads.UpgradeEngine: _upgrade,
    payloads.Relabel: _relabel,
    payloads.Init: _init,
    payloads.UpdateSwarm: _settings,
    payloads.Join: _join,
    payloads.Promote: _adjust,
    payloads.Demote: _adjust,
    payloads.Adjust: _adjust,
    payloads.Unlock: _unlock,
    payloads.Leave: _leave,
    payloads.Forget: _forget,
    payloads.Remove: _remove,
    payloads.Deploy: _deploy,
    payloads.Withdraw: _withdraw,
}


def known_kinds() -> Sequence[ActionKind]:
    """Return the kinds of actions that can be executed: all of them."""
    return tuple(payload.kind for payload in _ACTS)
