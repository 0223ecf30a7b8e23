"""Fleets that are changed in all ways at once, and their plans being carried out in an order that is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from pymachine.engine.effects import RESTARTING, Aspect, Change
from pymachine.errors import CheckFailed
from pymachine.fleet.apply.selectors import limited
from pymachine.fleet.inventory.model import Fleet, MachineSpec
from pymachine.fleet.plan import Action, ActionKind, Batch, ObservedMachine, Plan, payloads
from pymachine.model import EngineSpec, State
from pymachine.swarm.quorum import may_go, may_rest
from pymachine.swarm_api.protocol import NodeStatus
from pymachine.swarm_api.view import DRAINED_LABEL, SwarmNode, quorum_of
from unit.fleets import Sim, fleet, spec

ENDING = Change("issue a new server certificate", "expires in 3 days", Aspect.CERTIFICATES, RESTARTING)
ENGINES = [
    EngineSpec(env=("FOO=bar",)),
    EngineSpec(http_proxy="http://proxy:3128"),
    EngineSpec(labels=("rack=7",)),
    EngineSpec(opts=("mtu=1400",)),
    EngineSpec(version="28.5.2"),
]
# What a Swarm without a majority cannot do.
TALKS = (
    ActionKind.JOIN,
    ActionKind.ADJUST,
    ActionKind.PROMOTE,
    ActionKind.DEMOTE,
    ActionKind.LEAVE,
    ActionKind.REMOVE,
    ActionKind.SETTINGS,
)
MOVES: dict[str, Any] = {"fake_address": "192.0.2.99"}
ANEW: dict[str, Any] = {"fake_zone": "west"}
OPTIONS: list[dict[str, Any]] = [{}, {}, {}, {"fake_size": 4}, {"fake_tags": ("a",)}, MOVES, MOVES | {"fake_size": 4}]
BATCHES = [*(Batch(size) for size in (1, 2, 3)), *(Batch(size, percent=True) for size in (1, 34, 50, 100))]


@dataclass(frozen=True)
class Case:
    """A fleet that stands, what is wanted of it, and what is the matter with its machines, by their names.

    The hosts of ``lost`` ones are gone; ``unseen`` ones do not answer us and are what they were to the Swarm; ``cut``
    ones answer us and not the Swarm; ``off`` ones are switched off; the engines of ``vacant`` ones are in no Swarm,
    and those of ``bare`` ones are gone. ``drained`` ones were left so by a run that was cut off. ``loose`` ones are
    on record for no fleet, ``adopted`` ones were made by others. ``strange`` are managers of another store, and
    whether they answer. The actions at the places of ``failing`` fail.
    """

    standing: Fleet
    wanted: Fleet
    batch: Batch
    ending: frozenset[str] = frozenset()
    drained: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()
    adopted: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()
    cut: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    vacant: frozenset[str] = frozenset()
    bare: frozenset[str] = frozenset()
    strange: tuple[bool, ...] = ()
    failing: frozenset[int] = frozenset()

    @property
    def troubled(self) -> bool:
        """Whether something is the matter that a plan cannot know, or cannot mend."""
        return any((self.lost, self.unseen, self.cut, self.off, self.vacant, self.bare, self.strange, self.failing))

    @property
    def names(self) -> list[str]:
        """All machines of before and after."""
        return list(dict.fromkeys(machine.name for machine in (*self.standing.machines, *self.wanted.machines)))


@st.composite
def cases(draw: Any, *, troubled: bool) -> Case:
    """Draw a fleet of at most nine machines, of which one manager stays."""
    managers = [spec(f"m{n}", "manager") for n in range(draw(st.integers(1, 5)))]
    workers = [spec(f"w{n}", "worker") for n in range(draw(st.integers(0, 4)))]
    standing = fleet(*managers, *workers)
    names = [machine.name for machine in standing.machines]
    everywhere = draw(st.sampled_from([None, *ENGINES]))
    kept = [managers[0], *(machine for machine in (*managers[1:], *workers) if draw(st.integers(0, 6)))]
    wanted = [_changed(draw, machine, everywhere) for machine in kept]
    wanted += [spec(f"new{n}", draw(st.sampled_from(["manager", "worker"]))) for n in range(draw(st.integers(-3, 2)))]
    batch = draw(st.sampled_from(BATCHES))
    if draw(st.integers(0, 3)) == 0:
        batch = replace(batch, among=frozenset(draw(st.sets(st.sampled_from([*names, "new0"]), min_size=1))))
    some = st.sets(st.sampled_from(names), max_size=2).map(frozenset)
    seldom = some if troubled else st.just(frozenset())
    return Case(
        standing, fleet(*wanted), batch,
        ending=frozenset(names) if draw(st.booleans()) else draw(some),
        drained=draw(some), loose=draw(some), adopted=draw(some),
        lost=_seldom(draw, seldom), unseen=_seldom(draw, seldom), cut=_seldom(draw, seldom),
        off=_seldom(draw, seldom), vacant=_seldom(draw, seldom), bare=_seldom(draw, seldom),
        strange=tuple(draw(st.lists(st.booleans(), max_size=2))) if troubled and draw(st.integers(0, 3)) == 0 else (),
        failing=frozenset(draw(st.sets(st.integers(0, 20), max_size=3)) if troubled else ()),
    )  # fmt: skip


def _seldom(draw: Any, some: Any) -> frozenset[str]:
    found: frozenset[str] = draw(some) if draw(st.integers(0, 2)) == 0 else frozenset()
    return found


def _changed(draw: Any, machine: MachineSpec, everywhere: EngineSpec | None) -> MachineSpec:
    engine = everywhere or draw(st.sampled_from([EngineSpec(), *ENGINES]))
    options = draw(st.sampled_from(OPTIONS if machine.name == "m0" else [*OPTIONS, ANEW]))  # m0 never goes
    role = machine.swarm.role if machine.swarm else "worker"
    if machine.name != "m0" and draw(st.integers(0, 7)) == 0:
        role = draw(st.sampled_from([None, "worker", "manager"]))
    return spec(machine.name, role, engine=engine, options=options)


def world(case: Case) -> Sim:
    """Return the world that a case begins with."""
    sim = Sim()
    sim.apply(case.standing)
    for name in case.ending:
        sim.findings[name] = replace(sim.findings[name], changes=(ENDING,))
    for name in case.drained:
        node = sim.nodes[name]
        labels = {**node.labels, DRAINED_LABEL: "active"}
        sim.nodes[name] = replace(node, availability="drain", labels=labels)
    for name in case.loose:
        sim.records[name] = sim.records[name].with_(fleet="")
    for name in case.adopted:
        sim.records[name] = sim.records[name].with_(adopted="i-1")
    for number, answers in enumerate(case.strange):
        sim.nodes[f"s{number}"] = SwarmNode(
            f"strange{number}", f"s{number}", "manager", state="ready" if answers else "down",
            manager_address="s:2377", reachable=answers,
        )  # fmt: skip
    _trouble(sim, case)
    return sim


def _trouble(sim: Sim, case: Case) -> None:
    for name in case.unseen:
        sim.findings[name] = ObservedMachine(State.UNREACHABLE, "no route to host")
    for name in case.off:
        sim.findings[name] = ObservedMachine(State.STOPPED, "it is off")
    for name in case.vacant | case.bare:
        engine = "" if name in case.bare else sim.findings[name].engine
        bare = name in case.bare
        found = replace(sim.findings[name], state=State.RUNNING, engine=engine, bare=bare, vacant=True)
        sim.findings[name] = replace(found, node=NodeStatus())
    for name in case.cut | case.off | case.vacant | case.bare:
        sim.nodes[name] = replace(sim.nodes[name], state="down", reachable=False, leader=False)
    for name in case.lost:
        sim.lose(name)
    sim._lead()


@dataclass
class Course:
    """A plan being carried out, several actions at once."""

    sim: Sim
    made: Plan
    case: Case
    running: dict[str, Action] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    roles: dict[str, bool] = field(default_factory=dict)  # by actions that interrupt nodes: managers or not
    workers: int = 0
    lost: bool = False  # the majority, before anything was done

    def __post_init__(self) -> None:
        """Count the workers that are away at some time, of which a batch may be a percentage."""
        away = {action.subject for action in self.made.actions if action.interrupts}
        self.lost = not self.holds
        self.workers = sum(name in away and not node.is_manager for name, node in self.sim.nodes.items())

    @property
    def holds(self) -> bool:
        """Whether there is a majority now."""
        return quorum_of(tuple(self.sim.nodes.values())).holds

    def go(self, draw: Any) -> None:
        """Begin and end actions in an order that is drawn, until nothing is left."""
        while True:
            choices = [*(("begin", action) for action in self._ready()), *(("end", a) for a in self.running.values())]
            if not choices:
                return
            what, action = choices[draw(st.integers(0, len(choices) - 1))]
            self._begin(action) if what == "begin" else self._end(action)

    def _ready(self) -> list[Action]:
        found = []
        for chain in self.made.chains:
            for place, action in enumerate(chain.actions):
                before = {previous.id for previous in chain.actions[place - 1 : place]}
                blockers = {*action.needs, *action.waits, *before} & {other.id for other in self.made.actions}
                if action.id in self.ended or action.id in self.running or not blockers <= self.ended:
                    continue
                if {*action.needs, *before} <= self.done:
                    found.append(action)
                else:
                    self.ended.add(action.id)  # skipped
                    return self._ready()
        return found

    def _begin(self, action: Action) -> None:
        """Begin an action; the verbs themselves refuse what the quorum does not bear."""
        node = self.sim.nodes.get(action.subject)
        counted = node is not None and node.state == "ready"
        if action.interrupts and node is not None and counted:
            leaves = isinstance(action.payload, payloads.Replace)
            assert action.drains or leaves or self.lost, f"{action.id} restarts a node that is not drained"
            if not self._allowed(may_go if leaves else may_rest, action, node):
                return
            self.roles[action.id] = node.is_manager
            self._away(action)
        elif action.kind in (ActionKind.LEAVE, ActionKind.REMOVE, ActionKind.DEMOTE) and node is not None:
            dissolves = isinstance(action.payload, payloads.Remove) and action.payload.dissolve
            if not dissolves and not self._allowed(may_go, action, node):
                return
        self.running[action.id] = action
        self._check()

    def _allowed(self, rule: Any, action: Action, node: SwarmNode) -> bool:
        try:
            rule(action.subject, node, quorum_of(tuple(self.sim.nodes.values())))
        except CheckFailed as error:
            self.refused.append(f"{action.id}: {error.message}")
            self.ended.add(action.id)
            return False
        return True

    def _away(self, action: Action) -> None:
        """One that is replaced leaves the Swarm first, so that the managers are fewer; others are merely down."""
        if isinstance(action.payload, payloads.Replace):
            self.sim._lose_node(action.subject)
            return
        node = self.sim.nodes[action.subject]
        self.sim.nodes[action.subject] = replace(node, state="down", reachable=False, leader=False)
        self.sim._lead()

    def _end(self, action: Action) -> None:
        del self.running[action.id]
        self.ended.add(action.id)
        order = [other.id for other in self.made.actions]
        if order.index(action.id) in self.case.failing:
            return  # and its node stays away
        self.done.add(action.id)
        node = self.sim.nodes.get(action.subject)
        if action.id in self.roles and node is not None:
            self.sim.nodes[action.subject] = replace(node, state="ready", reachable=node.is_manager)
        specs = {machine.name: machine for machine in self.case.wanted.machines}
        getattr(self.sim, f"_{action.kind}")(action, specs.get(action.subject), self.case.wanted)
        if action.kind is ActionKind.START and node is not None:
            self.sim.nodes[action.subject] = replace(node, state="ready", reachable=node.is_manager)
        self._check()

    def _check(self) -> None:
        if self.lost:
            return
        quorum = quorum_of(tuple(self.sim.nodes.values()))
        if quorum.managers > 2:
            assert quorum.holds or self.case.troubled, f"{list(self.running)} took the majority"
            if not self.case.failing:
                assert quorum.holds, f"{list(self.running)} took the majority"
        elif not quorum.holds and not self.case.troubled:
            assert not [name for name, action in self.running.items() if action.kind in TALKS], list(self.running)
        managers = [name for name in self.running if self.roles.get(name) is True]
        assert len(managers) <= 1, f"{managers} at once"
        workers = [name for name in self.running if self.roles.get(name) is False]
        assert len(workers) <= self.case.batch.of(self.workers), workers


def carried_out(case: Case, draw: Any) -> Course:
    """Plan a case and carry the plan out."""
    sim = world(case)
    made = sim.plan(case.wanted, case.batch)
    if case.batch.among is not None:
        made = limited(made, case.batch.among)
    work = Course(sim, made, case)
    work.go(draw)
    return work
