"""Plans which stacks are deployed, again or for the first time, and which are removed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pymachine.fleet.inventory.model import Fleet, StackSpec
from pymachine.fleet.plan import payloads
from pymachine.fleet.plan.actions import Action, Refusal
from pymachine.fleet.plan.observed import Deployed, Observed, Unresolved
from pymachine.model import Machine
from pymachine.swarm_api.containers import Container, unsettled_in
from pymachine.swarm_api.services import Service, unsettled_of


@dataclass(frozen=True, slots=True)
class Stacks:
    """The actions on stacks by name, and the stacks that cannot be worked on."""

    actions: Mapping[str, tuple[Action, ...]] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()


def plan_stacks(fleet: Fleet, records: Mapping[str, Machine], known: Observed, remade: Iterable[str]) -> Stacks:
    """Return the actions. ``remade`` are recreated machines, and ``""`` for a new Swarm.

    A stack whose files Compose could not resolve is neither deployed nor moved.
    """
    recreated = frozenset(remade)
    found = {f"stack {spec.name}": _deployed(spec, records, known, recreated) for spec in fleet.stacks}
    refusals = [_refusal(name, why) for name, why in known.unresolved.items()]
    listed = {spec.name: spec.on or "" for spec in fleet.stacks}
    for name, before in known.memory.stacks.items():
        if listed.get(name) == before.on or name in known.unresolved or not _is_there(before, records, known):
            continue
        if before.on and known.no_compose is not None:
            refusals.append(_refusal(name, known.no_compose))
            continue
        reason = "it moves to another target" if name in listed else "it is no longer in the inventory"
        gone = Action(payloads.Withdraw(before.on), name, (reason,))
        found[f"stack {name}"] = (gone, *found.get(f"stack {name}", ()))
    return Stacks(found, tuple(refusals), (*_unasked(known), *forgotten(known)))


def forgotten(known: Observed) -> tuple[str, ...]:
    """Say what an unreadable note keeps from being done."""
    if not known.memory.unreadable:
        return ()
    told = "stacks that are no longer in the inventory are not removed, and Swarm settings are not compared"
    return (f"{known.memory.unreadable}; {told}",)


def _unasked(known: Observed) -> tuple[str, ...]:
    """Return notes on stacks whose state is unknown although a manager, or their machine, answers."""
    silent = [name for name, found in known.projects.items() if found is None]
    told = (f"how the containers of {', '.join(silent)} are could not be asked",) if silent else ()
    names = [name for name in known.wanted if name in known.memory.stacks and not known.memory.stacks[name].on]
    if known.services is not None or not names or known.view is None or not known.view.spoken_to:
        return told
    return (f"how the services of {', '.join(names)} are could not be asked", *told)


def _refusal(name: str, why: Unresolved) -> Refusal:
    return Refusal(f"stack {name}", why.message, why.hint)


def _deployed(
    spec: StackSpec, records: Mapping[str, Machine], known: Observed, recreated: frozenset[str]
) -> tuple[Action, ...]:
    before, on = known.memory.stacks.get(spec.name), spec.on or ""
    if spec.name in known.unresolved:
        return ()
    digest = known.digests.get(spec.name, "")
    reason = ""
    if known.memory.unreadable:
        reason = "whether it is deployed is not known"
    elif before is None or before.on != on:
        reason = "it is not deployed yet"
    elif on in recreated or before.place != _place(on, records, known):
        reason = f"{on or 'the Swarm'} is a new one"
    elif before.digest != digest:
        reason = "its files or values changed"
    reasons = (reason,) if reason else _unsettled(spec, known)
    return (Action(payloads.Deploy(digest, on), spec.name, reasons),) if reasons else ()


def _unsettled(spec: StackSpec, known: Observed) -> tuple[str, ...]:
    """Return reasons for services and containers that are not as they should be; none if their state is unknown."""
    return tuple(f"{part.name}: {part.in_words()}" for part in unsettled_parts(spec, known) or ())


def unsettled_parts(spec: StackSpec, known: Observed) -> Sequence[Service | Container] | None:
    """Return the services on the Swarm, or the containers on a machine, that are not as they should be.

    None if their state is unknown.
    """
    wanted = known.wanted.get(spec.name, {})
    if not spec.on:
        before = known.memory.stacks.get(spec.name)
        specs = before.specs if before else {}
        return None if known.services is None else unsettled_of(spec.name, wanted, known.services, specs)
    found = known.projects.get(spec.name)
    return None if found is None else unsettled_in(spec.name, wanted, found)


def _is_there(before: Deployed, records: Mapping[str, Machine], known: Observed) -> bool:
    """Whether a deployed stack can still exist: it is gone with its machine or Swarm."""
    return bool(before.place) and before.place == _place(before.on, records, known)


def _place(on: str, records: Mapping[str, Machine], known: Observed) -> str:
    if on:
        return records[on].id if on in records else ""
    return known.view.id if known.view else ""
