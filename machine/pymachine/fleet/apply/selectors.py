"""Selects machines and stacks of a fleet by names, globs, groups and roles. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from pymachine.errors import UsageFault
from pymachine.fleet.inventory.model import Fleet
from pymachine.fleet.plan import Chain, Plan, payloads
from pymachine.model import Machine


def selected(fleet: Fleet, records: Mapping[str, Machine], patterns: Sequence[str]) -> frozenset[str]:
    """Return the names of the machines and stacks that the patterns select; all of them without a pattern.

    A pattern is a name, a glob (``web-*``), a group of the inventory, or a role (``manager``). Patterns can be joined
    by commas, and a leading ``!`` excludes. Raises ``UsageFault`` for a pattern that selects nothing.
    """
    groups = _groups(fleet, records)
    words = [word.strip() for pattern in patterns for word in pattern.split(",") if word.strip()]
    wanted: set[str] = set()
    if all(word.startswith("!") for word in words):
        wanted.update(groups)
    for word in words:
        found = _meant(word.removeprefix("!"), groups)
        wanted = wanted - found if word.startswith("!") else wanted | found
    return frozenset(wanted)


def limited(plan: Plan, names: Iterable[str]) -> Plan:
    """Return the part of a plan that concerns these machines and stacks.

    Excluded actions are not waited for, but actions that need them are excluded as well, because they could not be
    done.
    """
    wanted = frozenset(names)
    refused = wanted | {f"stack {name}" for name in wanted}
    chains = [chain for chain in plan.chains if _concerned(chain) in wanted]
    while True:
        kept = {action.id for chain in chains for action in chain.actions}
        everything = {action.id for action in plan.actions}
        whole = [chain for chain in chains if not _misses(chain, everything - kept)]
        if len(whole) == len(chains):
            break
        chains = whole
    return replace(
        plan,
        chains=tuple(chains),
        refusals=tuple(refusal for refusal in plan.refusals if refusal.subject in refused),
        unseen={name: reason for name, reason in plan.unseen.items() if name in wanted},
    )


def _concerned(chain: Chain) -> str:
    """Return the machine or stack of a chain; in a plan, stacks have chains with a longer name."""
    first = chain.actions[0]
    return first.subject if isinstance(first.payload, payloads.Deploy | payloads.Withdraw) else chain.subject


def _misses(chain: Chain, lacking: set[str]) -> bool:
    return any(need in lacking for action in chain.actions for need in action.needs)


def _groups(fleet: Fleet, records: Mapping[str, Machine]) -> dict[str, tuple[str, ...]]:
    """Return every selectable name with its groups."""
    found = {spec.name: (*spec.groups, *([spec.swarm.role] if spec.swarm else [])) for spec in fleet.machines}
    surplus = [m for m in records.values() if fleet.name and m.fleet == fleet.name and m.name not in found]
    found.update({m.name: (m.swarm.role,) if m.swarm else () for m in surplus})
    found.update({stack.name: ("stacks",) for stack in fleet.stacks if stack.name not in found})
    return found


def _meant(word: str, groups: Mapping[str, tuple[str, ...]]) -> set[str]:
    found = {name for name, some in groups.items() if word in some or fnmatchcase(name.lower(), word.lower())}
    if found:
        return found
    known = [*groups, *(group for some in groups.values() for group in some)]
    near = difflib.get_close_matches(word, known, n=1)
    raise UsageFault(
        f"--limit {word}: no machine, group or stack of the fleet has this name",
        hint=f"did you mean {near[0]}?" if near else "`pymachine fleet status` lists the machines",
    )
