"""What no plan may do, in whatever order it is run: take the majority away, or restart a node that is not drained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties import examples
from pymachine.engine.effects import RESTARTING, Aspect, Change
from pymachine.errors import CheckFailed
from pymachine.fleet.inventory.model import Fleet, MachineSpec
from pymachine.fleet.plan import Action, ActionKind, Batch, NodeStatus, Plan, payloads, plan
from pymachine.model import EngineSpec, State
from pymachine.swarm.quorum import may_rest
from pymachine.swarm_api.view import ClusterView, quorum_of
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
OPTIONS: list[dict[str, Any]] = [{}, {}, {"fake_size": 4}, {"fake_tags": ("a",)}, {"fake_zone": "west"}]


@dataclass(frozen=True)
class Case:
    """A fleet that stands, what is wanted of it, whose certificates end, which hosts are gone, and what fails."""

    standing: Fleet
    wanted: Fleet
    ending: frozenset[str]
    lost: frozenset[str]
    failing: frozenset[int]
    batch: Batch


@st.composite
def cases(draw: Any, *, troubled: bool) -> Case:
    managers = [spec(f"m{n}", "manager") for n in range(draw(st.integers(1, 5)))]
    workers = [spec(f"w{n}", "worker") for n in range(draw(st.integers(0, 4)))]
    standing = fleet(*managers, *workers)
    names = [machine.name for machine in standing.machines]
    everywhere = draw(st.sampled_from([None, *ENGINES]))
    kept = [managers[0], *(machine for machine in (*managers[1:], *workers) if draw(st.integers(0, 9)))]
    wanted = [_changed(draw, machine, everywhere) for machine in kept]
    if draw(st.integers(0, 3)) == 0:
        wanted.append(spec("new", draw(st.sampled_from(["manager", "worker"]))))
    some = st.sets(st.sampled_from(names), max_size=2)
    return Case(
        standing,
        fleet(*wanted),
        frozenset(names if draw(st.booleans()) else draw(some)),
        frozenset(draw(some) if troubled else ()),
        frozenset(draw(st.sets(st.integers(0, 20), max_size=3)) if troubled else ()),
        draw(st.sampled_from([Batch(1), Batch(2), Batch(50, percent=True)])),
    )


def _changed(draw: Any, machine: MachineSpec, everywhere: EngineSpec | None) -> MachineSpec:
    engine = everywhere or draw(st.sampled_from([EngineSpec(), *ENGINES]))
    options = draw(st.sampled_from(OPTIONS[:-1] if machine.name == "m0" else OPTIONS))  # the last one never goes
    role = machine.swarm.role if machine.swarm else "worker"
    if machine.name != "m0" and draw(st.integers(0, 7)) == 0:
        role = "worker" if role == "manager" else "manager"
    return spec(machine.name, role, engine=engine, options=options)


@dataclass
class Carrying:
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
        self.lost = not quorum_of(tuple(self.sim.nodes.values())).holds
        self.workers = sum(name in away and not node.is_manager for name, node in self.sim.nodes.items())

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
        node = self.sim.nodes.get(action.subject)
        lost = isinstance(action.payload, payloads.Replace) and action.payload.lost
        if action.interrupts and node is not None and not lost:
            quorum = quorum_of(tuple(self.sim.nodes.values()))
            assert action.drains or self.lost, f"{action.id} restarts a node that is not drained"
            try:
                may_rest(action.subject, node, quorum)
            except CheckFailed as error:
                self.refused.append(f"{action.id}: {error.message}")
                self.ended.add(action.id)
                return
            self.roles[action.id] = node.is_manager
            self._away(action)
        self.running[action.id] = action
        self._check()

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
        if action.interrupts and node is not None:
            self.sim.nodes[action.subject] = replace(node, state="ready", reachable=node.is_manager)
        specs = {machine.name: machine for machine in self.case.wanted.machines}
        getattr(self.sim, f"_{action.kind}")(action, specs.get(action.subject), self.case.wanted)
        self._check()

    def _check(self) -> None:
        if self.lost:
            return
        quorum = quorum_of(tuple(self.sim.nodes.values()))
        if quorum.managers > 2:
            assert quorum.holds or self.case.lost or self.case.failing, f"{list(self.running)} took the majority"
        elif not quorum.holds and not (self.case.lost or self.case.failing):
            assert not [name for name, action in self.running.items() if action.kind in TALKS], list(self.running)
        managers = [name for name in self.running if self.roles.get(name) is True]
        assert len(managers) <= 1, f"{managers} at once"
        workers = [name for name in self.running if self.roles.get(name) is False]
        assert len(workers) <= self.case.batch.of(self.workers), workers


def carried_out(case: Case, draw: Any) -> Carrying:
    sim = Sim()
    sim.apply(case.standing)
    for name in case.ending:
        sim.findings[name] = replace(sim.findings[name], changes=(ENDING,))
    for name in case.lost:
        sim.lose(name)
    work = Carrying(sim, sim.plan(case.wanted, case.batch), case)
    work.go(draw)
    return work


@examples(60)
@given(st.data(), cases(troubled=False))
def test_a_plan_never_takes_more_managers_away_than_the_quorum_bears(data: st.DataObject, case: Case) -> None:
    work = carried_out(case, data.draw)
    assert not work.refused, work.refused
    assert work.ended == {action.id for action in work.made.actions}


@examples(60)
@given(st.data(), cases(troubled=True))
def test_nor_does_it_where_hosts_are_gone_and_actions_fail(data: st.DataObject, case: Case) -> None:
    """What the order cannot know, the drain itself refuses; here it is the same rule that does."""
    carried_out(case, data.draw)


def planned(sim: Sim, *machines: MachineSpec) -> Plan:
    return sim.plan(fleet(*machines))


def with_env(*machines: MachineSpec) -> list[MachineSpec]:
    return [replace(machine, engine=EngineSpec(env=("FOO=bar",))) for machine in machines]


def managers_of(count: int) -> list[MachineSpec]:
    return [spec(f"m{number}", "manager") for number in range(count)]


def standing(count: int) -> Sim:
    sim = Sim()
    sim.apply(fleet(*managers_of(count)))
    return sim


def test_three_managers_whose_environment_changes_take_turns_drained() -> None:
    actions = {action.subject: action for action in planned(standing(3), *with_env(*managers_of(3))).actions}
    assert {action.effects for action in actions.values()} == {RESTARTING}
    assert all(action.drains for action in actions.values())
    assert {name: action.needs for name, action in actions.items()} == {
        "m1": (), "m2": ("configure:m1",), "m0": ("configure:m2",),
    }  # fmt: skip


def test_the_outage_of_two_managers_is_announced() -> None:
    made = planned(standing(2), *with_env(*managers_of(2)))
    assert any("2 managers: " in n and " m0, m1 " in n and "quorum" in n for n in made.notes)
    assert [action.needs for action in made.actions if action.subject == "m0"] == [("configure:m1",)]
    assert not any("no quorum" in note for note in planned(standing(3), *with_env(*managers_of(3))).notes)


def test_nothing_restarts_while_no_manager_can_be_spared() -> None:
    sim = standing(3)
    sim.lose("m2")
    sim.findings["m2"] = replace(sim.findings["m2"], state=State.UNREACHABLE)
    made = planned(sim, *with_env(*managers_of(3)))
    assert not list(made.actions)
    assert {refusal.subject for refusal in made.refusals} == {"m0", "m1"}
    assert "none may" in made.refusals[0].message


def test_what_interrupts_is_held_back_until_managers_that_are_off_are_on() -> None:
    sim = standing(3)
    sim.lose("m2")
    sim.findings["m2"] = replace(sim.findings["m2"], state=State.STOPPED)
    made = planned(sim, *with_env(*managers_of(3)))
    assert [action.id for action in made.actions] == ["start:m2"]
    assert made.partial
    assert any(note.endswith(": m0, m1") for note in made.notes)


def test_what_interrupts_is_held_back_until_the_swarm_can_be_asked() -> None:
    sim = standing(3)
    known = replace(sim.known(fleet(*with_env(*managers_of(3)))), view=ClusterView(sim.cluster, locked=("m0",)))
    made = plan(fleet(*with_env(*managers_of(3))), sim.records, known)
    assert [action.id for action in made.actions] == ["unlock:m0"]
    assert made.partial
    assert any(note.endswith(": m0, m1, m2") for note in made.notes)


def test_nodes_of_a_swarm_that_is_not_on_record_take_turns_as_well() -> None:
    sim = Sim()
    plain = [spec(f"m{number}") for number in range(3)]
    sim.apply(fleet(*plain))
    for name in ("m0", "m1", "m2"):
        sim.findings[name] = replace(sim.findings[name], seat=NodeStatus("active", name, "c", control=True))
    made = planned(sim, *with_env(*plain))
    assert sorted(action.needs for action in made.actions) == [(), ("configure:m0",), ("configure:m1",)]
    assert not any(action.drains for action in made.actions)
    assert any("record" in note for note in made.notes)


def test_a_worker_waits_for_one_that_is_replaced_and_comes_back_as_a_manager() -> None:
    """It is away like any other worker, although it takes its turn among the managers that arrive."""
    machines = [spec("m0", "manager"), spec("w0", "worker"), spec("w2", "worker")]
    sim = Sim()
    sim.apply(fleet(*machines))
    sim.findings["w0"] = replace(sim.findings["w0"], changes=(ENDING,))
    made = planned(sim, *machines[:2], spec("w2", "manager", options={"fake_zone": "west"}))
    assert {action.id: action.waits for action in made.actions} == {
        "renew:w0": ("join:w2",), "replace:w2": (), "join:w2": (),
    }  # fmt: skip
