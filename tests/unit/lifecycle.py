"""Processes that make, keep and remove machines, whatever befalls them: what one does, and what must hold then."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pymachine import leftovers, power
from pymachine.clock import Clock
from pymachine.create import create
from pymachine.create_request import CreateRequest
from pymachine.errors import CheckFailed, DriverMissing, LeaseHeld, NoSuchMachine, PymachineError, StepFailed
from pymachine.events import Asker
from pymachine.model import EngineSpec, Machine, Phase, SshAddress, State
from pymachine.provision import provision
from pymachine.remove import Removal, remove
from pymachine.steps.services import Services
from pymachine.store import Store, readable
from pymachine.store.processes import Process
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_asker import FakeAsker
from pymachine.testing.fake_driver import FakeOptions
from pymachine.testing.memory_store import MemoryStore
from pymachine.testing.recorder import RecordingReporter
from pymachine.transport import Transport
from unit.blows import Beside, Blow, Fate, Killed, StruckStore, StruckTransport, struck_driver
from unit.premises import Premises, driver_kinds
from unit.world import FakeClock

THEIRS, COLLEAGUES = "theirs", "a colleague's"
KINDS = {"web": "cloud", "db": "cloud", "vm": "virtual", "metal": "metal", "rival": "metal", "old": "cloud"}


def order(name: str) -> CreateRequest:
    """Return what is asked for under a name: always the same. ``metal`` and ``rival`` want the same host."""
    adopted = THEIRS if name == "old" else ""
    return CreateRequest(name, KINDS[name], FakeOptions(), EngineSpec(), {"rack": "7"}, adopted=adopted)


@dataclass(frozen=True, slots=True)
class Command:
    """A verb, and the machine that it is for (``gc`` is for none)."""

    verb: str
    name: str = ""

    def carried_out(self, verbs: Mapping[str, Callable[..., Any]], tools: Services) -> Any:
        """Do it."""
        if self.verb == "create":
            return verbs["create"](order(self.name), tools)
        if self.verb == "gc":
            return verbs["gc"](tools)
        return verbs[self.verb](self.name, tools)


def collect(tools: Services) -> None:
    """Have everything removed that is left over of this store."""
    found = [leftover for leftover in leftovers.leftovers("cloud", FakeOptions(), tools) if leftover.ours]
    leftovers.discard("cloud", found, tools, lambda leftover: None)


VERBS: dict[str, Callable[..., Any]] = {
    "create": create,
    "rm": remove,
    "rm -f": lambda name, tools: remove(name, tools, force=True),
    "provision": provision,
    "new certificates": lambda name, tools: provision(name, tools, renew=["ca"]),
    "other options": lambda name, tools: provision(name, tools, spec_changes={"labels": ("tier=web",)}),
    "start": power.start,
    "stop": power.stop,
    "restart": power.restart,
    "gc": collect,
}
# What a verb does when its work is done, and what looks at nothing any more.
LAST_WORDS = frozenset({"store finish", "store materialise", "store release"})
SETTING_UP = ("provision", "new certificates", "other options", "start", "restart")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the process of a command ended: with a value, an error, or not at all.

    ``hit`` are the blows that fell on it, ``beside`` is what other processes did meanwhile.
    """

    command: Command
    value: Any = None
    error: BaseException | None = None
    hit: Sequence[Blow] = ()
    before: Machine | None = None
    trace: Sequence[str] = ()
    beside: Sequence[Beside] = ()

    @property
    def well(self) -> bool:
        """Whether it did what it was requested."""
        return self.error is None


@dataclass
class Site:
    """The outside, and the store in ``folder`` that processes share: in a file, or in memory.

    ``verbs`` and ``drivers`` are the product's; a test of the model plants faults in them, and in ``stores``.
    """

    folder: Path
    in_memory: bool = False
    verbs: dict[str, Callable[..., Any]] = field(default_factory=lambda: dict(VERBS))
    premises: Premises = field(default_factory=Premises)
    clock: FakeClock = field(default_factory=FakeClock)
    stores: Callable[[Store], Store] = lambda store: store
    drivers: dict[str, Any] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.memory = MemoryStore(self.folder) if self.in_memory else None
        self.look = self.memory or SqliteStore.open(self.folder)
        self.premises.others(THEIRS)
        self.premises.others(COLLEAGUES)
        self.premises.marks(COLLEAGUES, "another store")
        self.drivers = {**driver_kinds(self.premises), **self.drivers}

    def close(self) -> None:
        """Let go of the store."""
        if isinstance(self.look, SqliteStore):
            self.look.close()

    def run(self, command: Command, blows: Sequence[Blow] = ()) -> Outcome:
        """Have a process carry the command out, from its begin to its end."""
        self.count += 1
        before = self.look.find(command.name) if command.name else None
        fate = Fate(blows, unlock=self.look.break_lease)
        process = replace(Process.current(), user=f"p{self.count}")
        store = self.memory or SqliteStore.open(self.folder, process=process)
        try:
            value = command.carried_out(self.verbs, self.tools(self.stores(store), fate))
            return Outcome(command, value, None, fate.hit, before, fate.trace, fate.beside)
        except (PymachineError, KeyboardInterrupt, Killed) as error:
            return Outcome(command, None, error, fate.hit, before, fate.trace, fate.beside)
        except Exception as error:
            raise AssertionError(f"{command} died of {error!r}, struck by {fate.hit}") from error
        finally:
            self._ended(store, fate, process)

    def tools(self, store: Store, fate: Fate) -> Services:
        """Return what a process finds outside, all of it with that fate."""
        struck: Any = StruckStore(store, fate)

        @cache
        def load(name: str) -> Any:
            if name not in self.drivers:
                raise DriverMissing(f"no driver {name!r}", hint="install it")
            return struck_driver(self.drivers[name], fate)

        def connect(address: SshAddress, *, asker: Asker, notice: Any, deadline: float, retry_for: float = 0) -> Any:
            found = fate.around("ssh connect", lambda: self.premises.connect(address, self.clock.now()))
            transport: Transport = StruckTransport(found, fate)
            return transport

        def ask(*words: Any, **options: Any) -> Any:
            return fate.around("engine ask", lambda: self.premises.ask(*words, **options))

        now, clock = self.clock.now, Clock(self.clock.now, self.clock.sleep)
        return Services(struck, RecordingReporter(), FakeAsker(), connect, load, ask, now, clock)

    def _ended(self, store: Store, fate: Fate, process: Process) -> None:
        """A process that ended holds no lease that others could not tell as that of a dead one."""
        if isinstance(store, SqliteStore):
            store.close()
        for held in reversed(fate.held):
            with suppress(PymachineError):
                held.__exit__(None, None, None)
        if isinstance(store, SqliteStore):
            with closing(sqlite3.connect(self.folder / "state.db", isolation_level=None)) as connection:
                connection.execute("UPDATE lease SET started = 'ended' WHERE user = ?", (process.user,))

    def hosts(self) -> dict[str, State]:
        """Return the hosts that exist and were made for machines, not those of others."""
        return {host: state for host, state in self.premises.hosts().items() if host in self.premises.made_for}

    def state_of(self, name: str) -> State | None:
        """Return how the host of a machine is, None where it has none."""
        found = self.look.find(name)
        handle = (found.handle if found else None) or {}
        return self.premises.hosts().get(str(handle.get("id", "")))

    def reachable(self) -> set[str]:
        """Return the hosts that a record leads to, or ``gc`` would find."""
        tools = self.tools(self.look, Fate())
        left = leftovers.leftovers("cloud", FakeOptions(), tools)
        handles = [machine.handle or {} for machine in readable(self.look)]
        return {leftover.id for leftover in left if leftover.ours} | {str(each.get("id")) for each in handles}


def judge(site: Site, outcome: Outcome) -> None:
    """See that a process ended as it must."""
    command = outcome.command
    if isinstance(outcome.error, Killed | KeyboardInterrupt):
        assert outcome.hit, f"{command} ended with {outcome.error!r} by itself"
    if not outcome.hit:
        assert expected(site, command, outcome), f"{command} ended with {outcome.error!r}, before: {outcome.before}"
    if command.verb == "create":
        _judge_create(site, command, outcome)
    if command.verb == "rm" and outcome.well:
        nothing_left(site, command.name, outcome)
    for beside in outcome.beside:
        _judge_lease(outcome, beside)
    was_ready = outcome.before is not None and outcome.before.phase is Phase.READY
    if outcome.well and (command.verb == "create" or (was_ready and command.verb in SETTING_UP)):
        assert _is_well(site, command.name) or _removed_since(outcome), f"after {command} its engine does not answer"
    removing = outcome.before is not None and outcome.before.phase is Phase.REMOVING
    if removing and command.verb in ("create", *SETTING_UP) and not outcome.hit:
        assert getattr(outcome.error, "exit_code", 0) == 3, f"{command} of a half-removed machine: {outcome.error!r}"
    if outcome.well and command.verb == "stop" and not outcome.hit:
        assert not was_ready or site.state_of(command.name) is State.STOPPED, f"{command} left it running"


def judge_beside(site: Site, outcome: Outcome) -> None:
    """See that a process ended as it must in the middle of another, which may keep it out."""
    if not isinstance(outcome.error, LeaseHeld):
        judge(site, outcome)


def _judge_lease(outcome: Outcome, beside: Beside) -> None:
    """See that whoever holds a machine's lease, and nobody else, keeps others from it."""
    other = beside.outcome
    if other.command.name in beside.kept:
        assert not other.well, f"{other.command} ended well while {outcome.command} held the lease"
    else:
        assert not isinstance(other.error, LeaseHeld), f"{other.command} ended with {other.error!r}, held by nobody"


def _removed_since(outcome: Outcome) -> bool:
    """Whether another process removed the machine when this one had done all of its work."""
    for beside in outcome.beside:
        other = beside.outcome
        removed = other.well and other.command.verb == "rm" and other.command.name == outcome.command.name
        if removed and LAST_WORDS.issuperset(outcome.trace[beside.calls :]):
            return True
    return False


def expected(site: Site, command: Command, outcome: Outcome) -> bool:
    """Whether an error, if it is one, is the right answer to what was before; nothing befell the process."""
    if outcome.well:
        return True
    before, error = outcome.before, outcome.error
    if before is None:
        return isinstance(error, NoSuchMachine) if command.verb != "create" else _taken(site, outcome)
    if command.verb == "create":
        return before.phase in (Phase.READY, Phase.REMOVING) or _taken(site, outcome)
    if command.verb == "rm":  # the set-up cannot be taken off a host that is off; rm -f forgets it
        return bool(before.adopted) and site.state_of(command.name) is not State.RUNNING
    if command.verb == "rm -f":
        return False
    ready = before.phase is Phase.READY
    if KINDS[command.name] == "metal":
        return not ready
    if command.verb in ("start", "stop"):  # what is gone can be switched neither on nor off
        return not ready or site.state_of(command.name) is None
    return not ready or site.state_of(command.name) is not State.RUNNING


def _taken(site: Site, outcome: Outcome) -> bool:
    """Whether the create was refused because the host that it wants is off, or carries another machine's set-up.

    Where it had no record before, nothing is made; one that stays makes the refusal a failure.
    """
    name, error = outcome.command.name, outcome.error
    off = name == "old" and site.premises.hosts()[THEIRS] is not State.RUNNING
    host = {"old": THEIRS, "metal": site.premises.rack[0], "rival": site.premises.rack[0]}.get(name)
    owner = site.premises.content[host].owner if host else ""
    found = site.look.find(name)
    if not off and (not owner or (found is not None and owner == found.id)):
        return False
    if outcome.before is None:
        return getattr(error, "exit_code", 0) == 3
    return isinstance(error, StepFailed) and (off or isinstance(error.cause, CheckFailed))


def _judge_create(site: Site, command: Command, outcome: Outcome) -> None:
    others = any(callable(blow.what) or blow.what == "unlock" for blow in outcome.hit)
    if getattr(outcome.error, "exit_code", 0) == 3 and outcome.before is None and not others:
        assert site.look.find(command.name) is None, f"{outcome.error!r}, and a record stays"


def nothing_left(site: Site, name: str, outcome: Outcome) -> None:
    """See that a machine is gone with all that was made for it."""
    assert isinstance(outcome.value, Removal)
    assert outcome.value.left_behind == ()
    if outcome.before is None:
        return
    machine = outcome.before.id
    if any(callable(blow.what) for blow in outcome.hit):  # somebody may have made it again
        found = site.look.find(name)
        assert found is None or found.id != machine
    else:
        left = (site.look.find(name), site.look.secrets(name), site.look.client_folder(name).exists())
        assert left == (None, {}, False), f"the store still has {left}"
    assert site.premises.made(machine) == [], f"hosts of {name} are left after rm"
    carriers = [host for host, content in site.premises.content.items() if content.owner == machine]
    assert not [host for host in carriers if host in (*site.premises.rack, THEIRS)], f"{carriers} carry its set-up"


def _is_well(site: Site, name: str) -> bool:
    """Whether the engine answers where the record says, to the certificate that is on record."""
    machine = site.look.find(name)
    if machine is None or machine.endpoint is None:
        return False
    site.premises.ask(machine.endpoint, site.look.materialise(name), deadline=1.0)
    host = site.premises.running_at(machine.endpoint.host)
    assert host is not None
    shown = site.premises.content[host].files["server.pem"]
    return machine.phase is Phase.READY and shown == site.look.secrets(name)["server.pem"]


def check(site: Site, excused: AbstractSet[str] = frozenset()) -> None:
    """See that what holds at any time does. ``excused`` are machines that were forced out, or lost their records."""
    records, premises = readable(site.look), site.premises
    assert {THEIRS, COLLEAGUES} <= set(premises.hosts()), "a host of others is gone"
    for host in site.hosts():
        machine = premises.made_for[host]
        assert len(premises.made(machine)) == 1, f"{machine} has two hosts"
        if machine not in excused:
            assert machine in {record.id for record in records}, f"{host} stays without a record of {machine}"
            assert host in site.reachable(), f"nothing leads to {host}"
    assert not [name for name in KINDS if site.look.holder(name)], "a lease outlives its process"
    gone = set(KINDS) - {record.name for record in records}
    assert not [name for name in gone if site.look.secrets(name)], "secrets outlive their machine"
