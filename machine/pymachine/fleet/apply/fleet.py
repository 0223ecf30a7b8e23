"""A fleet at work: looked at, planned for, brought to what its inventory says, or taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace

from pymachine.errors import CheckFailed, LeaseHeld
from pymachine.fleet.apply.connections import Connections
from pymachine.fleet.apply.execute import ActionRunner
from pymachine.fleet.apply.logs import Logs, Watched
from pymachine.fleet.apply.scheduler import Bounds, Outcome, Run, RunSummary, Tell
from pymachine.fleet.apply.selectors import limited
from pymachine.fleet.apply.state import note_end, note_name
from pymachine.fleet.apply.subprocesses import Computer
from pymachine.fleet.apply.survey import WIDTH, observe_fleet, records_of
from pymachine.fleet.inventory.model import Fleet
from pymachine.fleet.plan import ONE_BY_ONE, ActionKind, Batch, Observed, ObservedMachine, Plan, Traits, plan
from pymachine.fleet.plan.machines import host_part
from pymachine.fleet.plan.membership import SWARM
from pymachine.fleet.plan.stacks import forgotten
from pymachine.model import Machine, SshAddress
from pymachine.steps.services import Services
from pymachine.store import Holder
from pymachine.store.client_files import located


class FleetWork:
    """One command at work on a fleet. Every verb within it shares one connection to each host.

    ``reveal`` returns the fleet with its secrets; what does not compare or apply them never asks for them.
    """

    def __init__(
        self, fleet: Fleet, tools: Services, computer: Computer, reveal: Callable[[], Fleet] | None = None
    ) -> None:
        self.fleet = fleet
        self._reveal = reveal
        self._specs = {spec.name: spec for spec in fleet.machines}
        self.connections = Connections(tools.connect)
        self.logs = Logs(tools.store.folder, fleet.name)
        self._watched = Watched(tools.reporter, self.logs)
        self.tools = replace(tools, connect=self.connections, reporter=self._watched)
        self.computer = computer
        self.known = Observed()

    def plan(self, batch: Batch = ONE_BY_ONE, *, width: int = WIDTH) -> Plan:
        """Read the secrets, look, and return what has to be done; connections to hosts with nothing to do are closed.

        Raises ``InventoryFaults`` for secrets that cannot be read, before anything is looked at.
        """
        if self._reveal is not None:
            self.fleet, self._reveal = self._reveal(), None
        return self._kept(self._planned(self.fleet, batch, width=width))

    def plan_removal(self, names: frozenset[str]) -> Plan:
        """Look, and return how these machines and stacks are removed, and nothing else; no secret is read for it."""
        made = self._planned(without(self.fleet, names), ONE_BY_ONE, stacks=False)
        stacks = set(self.known.memory.stacks)
        made = _removing(limited(made, names | stacks), stacks)
        return self._kept(replace(made, notes=forgotten(self.known)))

    def apply(self, made: Plan, bounds: Bounds, tell: Tell) -> RunSummary:
        """Carry out a plan and return what became of it; what is left to do is noted for the next time."""
        fleet = _waiting(self.fleet, bounds.wait)
        runner = ActionRunner(fleet, self.tools, self.computer, self._watched.stopped)
        runner.before("apply")
        account = Run(made, runner.do, bounds, tell).go(self._watched.stop)
        left = (*account.unfinished, *made.unseen, *(refusal.subject for refusal in made.refusals))
        note_end(self.fleet.name, self.tools.store, left)
        self._write_errors(account)
        runner.after("apply")
        return account

    def renew_note(self) -> None:
        """Begin the fleet's note again if it cannot be read, where an apply has nothing else to do."""
        if self.known.memory.unreadable:
            note_end(self.fleet.name, self.tools.store, ())

    def close(self) -> None:
        """Close every connection."""
        self.connections.close()

    def __enter__(self) -> FleetWork:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()

    def _planned(self, wanted: Fleet, batch: Batch, *, stacks: bool = True, width: int = WIDTH) -> Plan:
        """Look at everything, keep what was found, and plan; without ``stacks``, these are not resolved.

        ``width`` is the number of hosts that are looked at together.
        """
        self._specs = {spec.name: spec for spec in wanted.machines}
        fleet, records = self.fleet if stacks else replace(self.fleet, stacks=()), records_of(self.tools)
        self.known = observe_fleet(
            fleet, records, self.tools, computer=self.computer, width=width, settle=self._settle
        )
        return plan(wanted, records, self.known, batch)

    def _kept(self, made: Plan) -> Plan:
        """Keep the connections that a plan needs."""
        self.connections.close(keep=self._addresses(made))
        return made

    def _settle(self, machine: Machine, finding: ObservedMachine, traits: Mapping[str, Traits]) -> None:
        """Close the connection to a host with nothing to do at once: a thousand idle ones cost more than the look."""
        spec = self._specs.get(machine.name)
        if spec is None or machine.ssh is None:
            return
        known = Observed({machine.name: finding}, traits=traits)
        ssh = located(self.tools.store, machine).ssh
        if ssh is not None and not host_part(spec, machine, self.fleet.name, known).actions:
            self.connections.forget(ssh)

    def _addresses(self, made: Plan) -> list[SshAddress]:
        """Where the hosts are that the plan does something on."""
        subjects = {chain.subject for chain in made.chains}
        machines = [m for m in records_of(self.tools).values() if m.name in subjects and m.ssh is not None]
        return [ssh for m in machines if (ssh := located(self.tools.store, m).ssh) is not None]

    def _write_errors(self, account: RunSummary) -> None:
        for result in account.having(Outcome.FAILED):
            assert result.error is not None
            self.logs.write(result.action.subject, f"{result.action.title} failed: {result.error.message}")


def _waiting(fleet: Fleet, wait: int | None) -> Fleet:
    """Return the fleet with another time for the services of its stacks, where one is given."""
    if wait is None:
        return fleet
    return replace(fleet, stacks=tuple(replace(stack, wait=wait) for stack in fleet.stacks))


@contextmanager
def leased(fleet: str, purpose: str, tools: Services) -> Iterator[None]:
    """Hold the fleet for one command. Raises ``LeaseHeld`` that says who works on it."""
    name = note_name(fleet)
    try:
        with tools.store.lease(name, purpose):
            yield
    except LeaseHeld as error:
        holder = tools.store.holder(name)
        if holder is None or error.lease != holder.name:
            raise
        raise _held(fleet, holder) from None


def _held(fleet: str, holder: Holder) -> LeaseHeld:
    return LeaseHeld(
        f"fleet {fleet} is being worked on by {holder.user}@{holder.host}, process {holder.pid}, "
        f"since {holder.since} ({holder.purpose})",
        hint="wait for it to end; if it hangs, end it there, or break its lock with --force-unlock",
    )


def refuse(made: Plan, *, replace: bool) -> None:
    """Refuse a plan that cannot be begun as a whole. Raises ``CheckFailed``.

    What is wrong with single machines keeps only these from being worked on.
    """
    whole = [refusal for refusal in made.refusals if refusal.subject == SWARM]
    if whole:
        raise CheckFailed(whole[0].message, hint=whole[0].hint or None)
    replacements = made.of(ActionKind.REPLACE)
    if replacements and not replace:
        lines = [f"\n  {action.subject}: {', '.join(action.reasons)}" for action in replacements]
        raise CheckFailed(
            f"these changes require replacement:{''.join(lines)}",
            hint="--replace destroys each of them with all its data and recreates it; --limit excludes them",
        )
    if made.refusals and not made.chains:
        told = "".join(f"\n  {refusal.subject}: {refusal.message}" for refusal in made.refusals)
        raise CheckFailed(f"nothing can be done:{told}", hint=made.refusals[0].hint or None)


def _removing(made: Plan, stacks: Set[str]) -> Plan:
    """Return the part of a plan that only takes away, whatever it was for; ``stacks`` that cannot go are told."""
    told = tuple(refusal for refusal in made.refusals if refusal.subject in {f"stack {name}" for name in stacks})
    chains = tuple(
        replace(chain, actions=tuple(replace(action, causes=("it is destroyed",)) for action in chain.actions))
        for chain in made.chains
        if all(action.kind in (ActionKind.REMOVE, ActionKind.WITHDRAW) for action in chain.actions)
    )
    return replace(made, chains=chains, refusals=told, unseen={}, notes=(), partial=False)


def without(fleet: Fleet, names: Sequence[str] | frozenset[str]) -> Fleet:
    """Return what is left of a fleet when these machines are destroyed; no stack without a machine."""
    machines = tuple(spec for spec in fleet.machines if spec.name not in names)
    gone = {spec.name for spec in fleet.machines if spec.name in names}
    stacks = tuple(stack for stack in fleet.stacks if machines and stack.on not in gone and stack.name not in names)
    return replace(fleet, machines=machines, stacks=stacks)
