"""A fleet that exists only as values: what was found of it, and what becomes of it when a plan is carried out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from pymachine.documents import to_document
from pymachine.engine.effects import RESTARTING, Aspect, Change
from pymachine.fleet.inventory.model import Fleet, MachineSpec, NodeSpec, Spot, StackSpec, SwarmSpec
from pymachine.fleet.plan import (
    ONE_BY_ONE,
    Action,
    ActionKind,
    Batch,
    Deployed,
    FleetState,
    Observed,
    ObservedMachine,
    Plan,
    Traits,
    payloads,  # fmt: skip
    plan,
)
from pymachine.fleet.plan.diff import changed_engine
from pymachine.model import EngineSpec, Machine, Membership, Phase, State
from pymachine.swarm_api.protocol import NodeStatus
from pymachine.swarm_api.view import MANAGER, ClusterView, Member, SwarmNode, quorum_of, wanted_labels
from pymachine.testing.fake_driver import FakeOptions

ALTERS = {
    "fake_size": "memory",
    "fake_account": "reach",
    "fake_spot": "record",
    "fake_tags": "refit",
    "fake_address": "move",
}
TRAITS = {
    "fake": Traits(
        FakeOptions,
        alters=ALTERS,
    ),
    "other": Traits(dict, preexisting=True),
}


def spec(name: str, role: str | None = None, **given: Any) -> MachineSpec:
    """A machine of an inventory; ``options``, ``engine``, ``labels``, ``driver`` and fields of its node as given."""
    node = {key: given.pop(key) for key in ("availability", "node_labels") if key in given}
    swarm = NodeSpec(role, node.get("node_labels", {}), node.get("availability", "active")) if role else None
    plain: dict[str, Any] = {"driver": "fake", "options": {}, "engine": EngineSpec(), "labels": {}, **given}
    return MachineSpec(name=name, swarm=swarm, groups=(), order=0, spot=Spot("f", 1, 1), **plain)


def fleet(*machines: MachineSpec, **given: Any) -> Fleet:
    """A fleet called shop."""
    return Fleet("shop", machines, **{"swarm": SwarmSpec() if any(m.swarm for m in machines) else None, **given})


@dataclass
class Sim:
    """A world in which actions do at once what they say. ``done`` lists them, ``lowest`` the fewest managers left."""

    records: dict[str, Machine] = field(default_factory=dict)
    findings: dict[str, ObservedMachine] = field(default_factory=dict)
    nodes: dict[str, SwarmNode] = field(default_factory=dict)
    cluster: str = ""
    autolock: bool = False
    memory: FleetState = field(default_factory=FleetState)
    digests: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(1))

    @property
    def view(self) -> ClusterView | None:
        """What a manager tells."""
        if not self.cluster:
            return None
        quorum = quorum_of(tuple(self.nodes.values()))
        if not quorum.holds:
            return ClusterView(self.cluster, lost=True, trouble="the quorum is lost")
        members = tuple(Member(name if name in self.records else "", node) for name, node in self.nodes.items())
        return ClusterView(self.cluster, members, spoken_to="someone", autolock=self.autolock)

    def plan(self, wanted: Fleet, batch: Batch = ONE_BY_ONE) -> Plan:
        """Plan from how everything is."""
        return plan(wanted, self.records, self.known(wanted), batch)

    def known(self, wanted: Fleet) -> Observed:
        """What is found: on a host that was looked at, every field of its engine that is another one restarts it."""
        findings = {
            **self.findings,
            **{spec.name: self._found(spec) for spec in wanted.machines if self._is_on(spec)},
        }
        return Observed(findings, self.view, TRAITS, self.memory, self.digests)

    def _is_on(self, wanted: MachineSpec) -> bool:
        return wanted.name in self.records and self.findings[wanted.name].seen

    def _found(self, wanted: MachineSpec) -> ObservedMachine:
        finding, changed = self.findings[wanted.name], changed_engine(wanted.engine, self.records[wanted.name].engine)
        changes = (Change(f"set {key}", "as requested", Aspect.CONFIG, RESTARTING) for key in changed)
        return replace(finding, changes=(*finding.changes, *changes))

    def apply(self, wanted: Fleet, failing: Iterable[str] = ()) -> Plan:
        """Plan and carry out in an order that the plan allows; ``failing`` actions do nothing."""
        made = self.plan(wanted)
        for action in ordered(made, set(failing)):
            self._do(action, wanted)
        return made

    def lose(self, name: str) -> None:
        """Have the host of a machine vanish."""
        self.findings[name] = ObservedMachine(State.MISSING, "it is gone")
        if name in self.nodes:
            self.nodes[name] = replace(self.nodes[name], state="down", reachable=False, leader=False)
            self._lead()

    def _do(self, action: Action, wanted: Fleet) -> None:
        self.done.append(action.id)
        specs = {machine.name: machine for machine in wanted.machines}
        getattr(self, f"_{action.kind}")(action, specs.get(action.subject), wanted)
        assert not self.nodes or quorum_of(tuple(self.nodes.values())).holds, f"{action.id} took the majority"

    def _create(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        assert wanted is not None
        options = to_document(TRAITS[wanted.driver].options(**wanted.options))
        self.records[wanted.name] = Machine(
            wanted.name, f"id{next(self._numbers)}", wanted.driver, Phase.READY, {"id": 1}, options,
            engine=wanted.engine, labels=wanted.labels, fleet=fleet.name,
        )  # fmt: skip
        self.findings[wanted.name] = ObservedMachine(State.RUNNING, engine=wanted.engine.version or "26.1.5")

    _resume = _create

    def _remake(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        self._lose_node(action.subject)
        self._create(action, wanted, fleet)

    _replace = _remake

    def _adopt(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        self._change(action.subject, fleet=fleet.name)

    def _start(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        self.findings[action.subject] = replace(self.findings[action.subject], state=State.RUNNING)

    def _relabel(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        assert wanted is not None
        self._change(action.subject, labels=wanted.labels)
        self._options(action)

    def _reach(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        self._options(action)

    _move = _resize = _refit = _reach

    def _configure(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        machine = self.records[action.subject]
        self._change(action.subject, engine=replace(machine.engine, **getattr(action.payload, "changes", {})))
        self.findings[action.subject] = replace(self.findings[action.subject], changes=())

    _renew = _configure

    def _install(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        self._configure(action, wanted, fleet)
        found = replace(self.findings[action.subject], bare=False, engine="26.1.5")
        self.findings[action.subject] = found

    def _upgrade(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        assert wanted is not None
        machine = self.records[action.subject]
        self._change(action.subject, engine=replace(machine.engine, version=wanted.engine.version))
        found = self.findings[action.subject]
        self.findings[action.subject] = replace(found, engine=wanted.engine.version or "")

    def _init(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        self.cluster, self.nodes = f"c{next(self._numbers)}", {}
        self.memory = replace(self.memory, swarm=to_document(fleet.swarm or SwarmSpec()))
        self.autolock = bool(fleet.swarm and fleet.swarm.autolock)
        self._join(action, wanted, fleet)

    def _join(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        assert wanted is not None
        assert wanted.swarm is not None
        self._seat(wanted, wanted.swarm, f"n{next(self._numbers)}")
        self.findings[action.subject] = replace(self.findings[action.subject], node=NodeStatus("active", "", ""))

    def _adjust(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        assert wanted is not None
        assert wanted.swarm is not None
        self._seat(wanted, wanted.swarm, self.nodes[action.subject].id)

    _promote = _adjust
    _demote = _adjust

    def _settings(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        assert fleet.swarm is not None
        self.autolock = fleet.swarm.autolock
        self.memory = replace(self.memory, swarm=to_document(fleet.swarm))

    def _leave(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        self._lose_node(action.subject)
        self._change(action.subject, swarm=None)
        self.findings[action.subject] = replace(self.findings[action.subject], node=NodeStatus())

    def _forget(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        self.nodes = {name: node for name, node in self.nodes.items() if node.id != action.subject}

    def _remove(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        assert self.records[action.subject].fleet == fleet.name, "a foreign machine was removed"
        self._lose_node(action.subject)
        assert isinstance(action.payload, payloads.Remove)
        if action.payload.dissolve:
            assert not self.nodes, f"{sorted(self.nodes)} were left in a Swarm that ended"
            self.cluster = ""
        del self.records[action.subject]
        self.findings.pop(action.subject, None)

    def _deploy(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        assert isinstance(action.payload, payloads.Deploy)
        on = action.payload.on
        place = self.records[on].id if on else self.cluster
        deployed = Deployed(action.payload.digest, on, place)
        self.memory = replace(self.memory, stacks={**self.memory.stacks, action.subject: deployed})

    def _withdraw(self, action: Action, wanted: MachineSpec | None, fleet: Fleet) -> None:
        left = {name: value for name, value in self.memory.stacks.items() if name != action.subject}
        self.memory = replace(self.memory, stacks=left)

    def _seat(self, wanted: MachineSpec, place: NodeSpec, node_id: str) -> None:
        machine, former = self.records[wanted.name], self.nodes.get(wanted.name)
        leads = place.role == MANAGER
        self.nodes[wanted.name] = SwarmNode(
            node_id, wanted.name, place.role, place.availability,
            labels=wanted_labels(former.labels if former else {}, place.labels, machine.id),
            manager_address="m:2377" if leads else "", reachable=leads,
        )  # fmt: skip
        self._lead()
        self._change(wanted.name, swarm=Membership(self.cluster, node_id, place.role))

    def _lose_node(self, name: str) -> None:
        self.nodes.pop(name, None)
        self._lead()

    def _lead(self) -> None:
        """Someone leads where there is a majority."""
        if self.nodes and not any(node.leader for node in self.nodes.values()):
            name = next((name for name, node in self.nodes.items() if node.reachable), None)
            if name is not None:
                self.nodes[name] = replace(self.nodes[name], leader=True)

    def _options(self, action: Action) -> None:
        machine = self.records[action.subject]
        given = getattr(action.payload, "options", {})
        self._change(action.subject, options={**machine.options, **given})

    def _change(self, name: str, **changes: Any) -> None:
        self.records[name] = self.records[name].with_(**changes)


def ordered(made: Plan, failing: set[str] | None = None) -> list[Action]:
    """Return the actions in an order that the plan allows, without those that need one of ``failing``.

    Raises ``AssertionError`` where they wait for each other.
    """
    open_, done, ended = list(_in_chains(made)), set[str](), set[str]()
    order: list[Action] = []
    while open_:
        ready = next((pair for pair in open_ if _may_begin(pair, ended, {a.id for a, _ in open_})), None)
        assert ready is not None, f"these wait for each other: {[a.id for a, _ in open_]}"
        open_.remove(ready)
        action, before = ready
        ended.add(action.id)
        if action.id in (failing or ()) or not {*action.needs, *before} <= done | _absent(action, made):
            continue
        done.add(action.id)
        order.append(action)
    return order


def _in_chains(made: Plan) -> Iterable[tuple[Action, tuple[str, ...]]]:
    for chain in made.chains:
        before: tuple[str, ...] = ()
        for action in chain.actions:
            yield action, before
            before = (action.id,)


def _may_begin(pair: tuple[Action, tuple[str, ...]], ended: set[str], open_ids: set[str]) -> bool:
    action, before = pair
    return not ({*action.needs, *action.waits, *before} & open_ids - ended)


def _absent(action: Action, made: Plan) -> set[str]:
    known = {other.id for other in made.actions}
    return {name for name in action.needs if name not in known}


def kinds(made: Plan) -> Mapping[str, list[ActionKind]]:
    """Return what is planned by subjects."""
    return {chain.subject: [action.kind for action in chain.actions] for chain in made.chains}


def stack(name: str, on: str | None = None) -> StackSpec:
    """A stack of an inventory."""
    return StackSpec(name, (f"/{name}.yaml",), on)
