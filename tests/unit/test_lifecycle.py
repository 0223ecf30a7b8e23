"""Machines through whole lives of commands, kills, errors and other processes: one host each, none lost or left."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase as Stage
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from typing_extensions import override

from pymachine.create import create
from pymachine.errors import CheckFailed, NoSuchMachine, StepFailed
from pymachine.model import EngineSpec, Machine, Phase, State
from pymachine.remove import Removal
from pymachine.store import readable
from unit.blows import Blow, Fate
from unit.lifecycle import KINDS, THEIRS, VERBS, Command, Outcome, Site, check, judge, judge_beside, order
from unit.planted import PLANTS

NAMES = st.sampled_from(sorted(KINDS))
PLACES = st.sampled_from(range(len(KINDS)))
POWERS = ("start", "stop", "restart")
KEEPING = ("provision", "new certificates", "other options", *POWERS)
MEANWHILE = ("create", "rm", "provision", "start", "gc")

FALLS = st.sampled_from(["kill", "error", "ctrl-c", "unlock", "meanwhile"])
BLOWS = st.lists(
    st.tuples(st.sampled_from(range(1, 31)), FALLS, st.booleans(), st.sampled_from(MEANWHILE), NAMES), max_size=2
)


class Lifecycle(RuleBasedStateMachine):
    """Commands one after another, each with blows that fall on it.

    ``excused`` are the machines that are allowed to leave something: whoever forced them out, or lost their records.
    """

    in_memory = False
    plant: Callable[[Site], None] = staticmethod(lambda site: None)

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="life")
        self.site = Site(Path(self.folder.name) / "store", self.in_memory)
        type(self).plant(self.site)
        self.excused: set[str] = set()

    def blows(self, told: list[tuple[int, str, bool, str, str]]) -> list[Blow]:
        """Return the blows that are told of; the last two say what another process does."""
        return [
            Blow(call, self.beside(verb, name) if what == "meanwhile" else what, after)
            for call, what, after, verb, name in told
        ]

    def beside(self, verb: str, name: str) -> Callable[[], Outcome]:
        """Return what has another process carry it out meanwhile."""
        command = Command(verb) if verb == "gc" else Command(verb, name)

        def carried_out() -> Outcome:
            outcome = self.run(command)
            judge_beside(self.site, outcome)
            return outcome

        return carried_out

    def run(self, command: Command, blows: list[Blow] | None = None) -> Outcome:
        """Have a process carry it out, and excuse what may stay."""
        outcome = self.site.run(command, blows or ())
        if outcome.before is not None and isinstance(outcome.value, Removal) and outcome.value.left_behind:
            self.excused.add(outcome.before.id)
        return outcome

    @rule(place=PLACES, blows=BLOWS, again=st.booleans())
    def makes(self, place: int, blows: Any, again: bool) -> None:
        ready = {machine.name for machine in self.machines() if machine.phase is Phase.READY}
        names = [name for name in KINDS if name not in ready]
        if names:
            self.does(Command("create", names[place % len(names)]), blows, again=again)

    @rule(place=PLACES, verb=st.sampled_from(KEEPING), blows=BLOWS, again=st.booleans())
    @precondition(lambda self: self.machines())
    def keeps(self, place: int, verb: str, blows: Any, again: bool) -> None:
        name = self.one(place).name
        if verb not in POWERS or KINDS[name] != "metal":
            self.does(Command(verb, name), blows, again=again)

    @rule(place=PLACES, verb=st.sampled_from(["rm", "rm", "rm -f"]), blows=BLOWS, again=st.booleans())
    @precondition(lambda self: self.machines())
    def removes(self, place: int, verb: str, blows: Any, again: bool) -> None:
        self.does(Command(verb, self.one(place).name), blows, again=again)

    @rule(blows=BLOWS)
    @precondition(lambda self: self.excused)
    def collects(self, blows: Any) -> None:
        self.does(Command("gc"), blows, again=False)

    @rule(name=NAMES, verb=st.sampled_from([*KEEPING, "rm", "rm -f"]))
    def is_asked_of_any(self, name: str, verb: str) -> None:
        if verb not in POWERS or KINDS[name] != "metal":
            self.does(Command(verb, name), (), again=False)

    @rule(place=PLACES)
    @precondition(lambda self: self.machines())
    def record_is_lost(self, place: int) -> None:
        machine = self.one(place)
        if machine.driver == "cloud":
            self.excused.add(machine.id)
            self.site.look.remove(machine.name)

    @rule(place=PLACES)
    @precondition(lambda self: self.machines())
    def host_vanishes(self, place: int) -> None:
        machine = self.one(place)
        if machine.handle is not None and not machine.adopted:
            self.site.premises.set_state(str(machine.handle.get("id")), None)

    def machines(self) -> list[Machine]:
        """Return the records."""
        return readable(self.site.look)

    def one(self, place: int) -> Machine:
        """Return one of them."""
        return self.machines()[place % len(self.machines())]

    @rule(days=st.sampled_from([0.01, 1, 300]))
    def time_passes(self, days: float) -> None:
        self.site.clock.sleep(days * 86_400)

    def does(self, command: Command, blows: Any, *, again: bool) -> None:
        outcome = self.run(command, self.blows(blows))
        judge(self.site, outcome)
        if again:
            judge(self.site, self.run(command))

    @invariant()
    def holds(self) -> None:
        check(self.site, self.excused)

    @override
    def teardown(self) -> None:
        """Whatever happened: rm and gc put everything right, and a create works again."""
        try:
            self.put_right()
        finally:
            self.site.close()
            self.folder.cleanup()

    def put_right(self) -> None:
        """Go on with what is half-made, then remove everything."""
        for name in KINDS:
            found = self.site.look.find(name)
            if found is not None and found.phase not in (Phase.READY, Phase.REMOVING):
                self.does(Command("create", name), (), again=False)
        self.site.premises.set_state(THEIRS, State.RUNNING)
        for name in KINDS:
            if self.site.look.find(name) is not None:
                self.does(Command("rm", name), (), again=False)
        self.does(Command("gc"), (), again=False)
        assert self.site.look.records() == []
        lost = [h for h in self.site.hosts() if self.site.premises.made_for[h] not in self.excused]
        assert lost == []


class InMemory(Lifecycle):
    in_memory = True


# Like ci's, the short ones are the same each time: what they find is found again.
SHORT = settings(
    settings.get_profile("ci"),
    max_examples=15,
    stateful_step_count=20,
    phases=[Stage.generate],
    report_multiple_bugs=False,
)
LONG = settings(
    settings.get_profile("soak"),
    phases=[Stage.generate, Stage.shrink],
    max_examples=1500,
    stateful_step_count=40,
    report_multiple_bugs=False,
)
TestInSqlite = Lifecycle.TestCase
TestInSqlite.settings = SHORT
TestInMemory = InMemory.TestCase
TestInMemory.settings = SHORT


@pytest.mark.soak(300)
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", [Lifecycle, InMemory])
def test_at_length(kind: type[Lifecycle]) -> None:
    run_state_machine_as_test(kind, settings=LONG)


def sweep(site: Callable[[Path], Site], what: str, verb: str, name: str) -> None:
    """Have one thing befall a command at each of its calls, before and after it; then all must come right.

    ``what`` is a blow's, or a verb, which another process carries out meanwhile.
    """
    for number in range(1, 100):
        for after in (False, True):
            with tempfile.TemporaryDirectory(prefix="sweep") as folder, closing(site(Path(folder))) as each:
                if not _struck_once(each, what, Command(verb, name), number, after=after):
                    assert number > FEWEST, "it makes more calls than that"
                    return
    pytest.fail("it makes more calls than this test knows of")


def _struck_once(site: Site, what: str, command: Command, number: int, *, after: bool) -> bool:
    """Return whether it befell the command at that call."""
    for before in PRIOR.get(command.verb, ()):
        judged(site, Command(before, command.name))
    falls = (lambda: ran_beside(site, Command(what, command.name))) if what in VERBS else what
    outcome = site.run(command, [Blow(number, falls, after)])
    judge(site, outcome)
    check(site)
    # Killed after one call or before the next is the same: the one goes on, what the other left is undone at once.
    if command.verb in ONWARD and site.look.find(command.name) is not None:
        judged(site, Command(ONWARD[command.verb], command.name))
    if command.verb != "rm" and (after or command.verb != "create"):
        judged(site, command)
    if site.look.find(command.name) is not None:
        site.premises.set_state(THEIRS, State.RUNNING)
        judged(site, Command("rm", command.name))
    judged(site, Command("gc"))
    assert site.hosts() == {}
    return bool(outcome.hit)


def ran_beside(site: Site, command: Command) -> Outcome:
    """Carry it out in the middle of another, and see that it went as it must."""
    outcome = site.run(command)
    judge_beside(site, outcome)
    return outcome


def judged(site: Site, command: Command) -> None:
    """Carry it out, and see that it went as it must."""
    judge(site, site.run(command))
    check(site)


FEWEST = 5
PRIOR = {"rm": ["create"], "start": ["create", "stop"], "provision": ["create"], "new certificates": ["create"]}
# What somebody does next who knows nothing of it.
ONWARD = {"new certificates": "start"}
WHATS = ["kill", "error", "ctrl-c", "unlock", "create", "rm"]
ORDINARY = [("kill", "create", "web"), ("kill", "create", "vm"), ("kill", "start", "web"), ("kill", "rm", "metal")]
ORDINARY += [("kill", "new certificates", "vm"), ("error", "new certificates", "web")]
OTHERS = [
    (what, verb, name)
    for what in WHATS
    for verb in ("create", "rm", "start", "provision", "new certificates")
    for name in ("web", "vm", "metal", "old")
    if (what, verb, name) not in ORDINARY and (verb, name) != ("start", "metal")
]


@pytest.mark.parametrize(("what", "verb", "name"), ORDINARY)
def test_whatever_befalls_a_command_it_comes_right(what: str, verb: str, name: str) -> None:
    sweep(lambda folder: Site(folder, in_memory=True), what, verb, name)


@pytest.mark.soak(20)
@pytest.mark.parametrize(("what", "verb", "name"), OTHERS)
def test_whatever_else_befalls_a_command_it_comes_right(what: str, verb: str, name: str) -> None:
    """Kills in SQLite too; of what else befalls a command, the store in memory keeps the same promises."""
    sweep(lambda folder: Site(folder, in_memory=what != "kill"), what, verb, name)


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_fault_is_found(plant: str) -> None:
    what, verb, name, planted, told = PLANTS[plant]

    def site(folder: Path) -> Site:
        made = Site(folder, in_memory=True)
        planted(made)
        return made

    with pytest.raises(AssertionError, match=told):
        sweep(site, what, verb, name)


# What the model found, by hand.


def calls_of(name: str) -> Sequence[str]:
    """Return the calls that a create makes."""
    with tempfile.TemporaryDirectory() as folder:
        return Site(Path(folder), in_memory=True).run(Command("create", name)).trace


def broken_off(site: Site, name: str) -> None:
    """Make a machine and have the process killed when all but the last word is on record."""
    puts = [number for number, call in enumerate(calls_of(name), 1) if call == "store put"]
    site.run(Command("create", name), [Blow(puts[-2], "kill")])
    assert site.look.get(name).phase is Phase.ENGINE


def test_other_options_reach_a_host_that_booted_with_the_first_ones(tmp_path: Path) -> None:
    site = Site(tmp_path, in_memory=True)
    broken_off(site, "vm")
    asked = replace(order("vm"), engine=EngineSpec(labels=("tier=web",)))
    machine = create(asked, site.tools(site.look, Fate()))
    host = site.premises.content[str((machine.handle or {})["id"])]
    assert "tier=web" in json.loads(host.files["daemon.json"])["labels"]


def test_a_renewed_certificate_reaches_a_host_that_booted_with_the_old_one(tmp_path: Path) -> None:
    site = Site(tmp_path, in_memory=True)
    broken_off(site, "vm")
    site.clock.sleep(300 * 86_400)
    again = Command("create", "vm")
    judge(site, site.run(again))


def test_a_create_goes_on_after_the_set_up_of_the_first_boot_was_put_back(tmp_path: Path) -> None:
    site = Site(tmp_path, in_memory=True)
    asks = [number for number, call in enumerate(calls_of("vm"), 1) if call == "engine ask"]
    again = Command("create", "vm")
    assert isinstance(site.run(again, [Blow(asks[-1], "error")]).error, StepFailed)
    judge(site, site.run(again))


@pytest.mark.parametrize("verb", POWERS)
def test_a_machine_without_a_host_cannot_be_switched(verb: str, tmp_path: Path) -> None:
    site = Site(tmp_path, in_memory=True)
    calls = site.run(Command("create", "db")).trace
    site.run(Command("create", "web"), [Blow(calls.index("cloud create") + 1, "kill")])
    assert site.look.get("web").handle is None
    assert isinstance(site.run(Command(verb, "web")).error, CheckFailed)


@pytest.mark.parametrize("meanwhile", [["rm"], ["rm", "create"]])
@pytest.mark.parametrize("call", ["store release", "engine ask"])
def test_a_start_does_not_answer_for_a_machine_that_was_removed_meanwhile(
    call: str, meanwhile: Sequence[str], tmp_path: Path
) -> None:
    """It waits for the engine without the lease."""
    site = Site(tmp_path, in_memory=True)
    started = Command("start", "vm")
    judged(site, Command("create", "vm"))
    place = site.run(started).trace.index(call) + 1

    def others() -> Outcome:
        return [ran_beside(site, Command(verb, "vm")) for verb in meanwhile][-1]

    outcome = site.run(started, [Blow(place, others, after=call == "store release")])
    assert outcome.hit
    assert isinstance(outcome.error, NoSuchMachine)
