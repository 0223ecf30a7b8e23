"""What stops while a plan is executed, and what runs elsewhere meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pymachine.engine.effects import Effect
from pymachine.fleet.plan import payloads
from pymachine.fleet.plan.actions import NOTHING_STOPS, Action, Chain, Interruption
from pymachine.fleet.plan.observed import Observed

# After these nothing that ran on the host does.
_ENDS = frozenset(
    {Effect.SWITCH_OFF, Effect.MAY_SWITCH_OFF, Effect.REPLACE_HOST, Effect.DELETE_HOST, Effect.DELETE_DATA}
)
_RESTARTS = frozenset({Effect.RESTART_ENGINE, Effect.MAY_RESTART_ENGINE})


def with_interruptions(chains: Iterable[Chain], known: Observed) -> tuple[Chain, ...]:
    """Return the chains, each of their actions with what it interrupts."""
    return tuple(
        replace(chain, actions=tuple(replace(one, interruption=_of(one, known)) for one in chain.actions))
        for chain in chains
    )


def _of(action: Action, known: Observed) -> Interruption:
    if isinstance(action.payload, payloads.Withdraw):
        services = known.services or ()
        return Interruption(services=tuple(s.name for s in services if s.stack == action.subject))
    effects = frozenset(action.effects)
    if not effects & (_ENDS | _RESTARTS) and not action.drains:
        return NOTHING_STOPS
    finding = known.findings.get(action.subject)
    if finding is None or not finding.seen:
        return NOTHING_STOPS  # what does not answer is interrupted already
    stops = bool(effects & _ENDS) or (bool(effects & _RESTARTS) and finding.restart_stops)
    unknown = finding.containers is None and bool(effects & (_ENDS | _RESTARTS))
    containers = None if unknown else finding.containers if stops else ()
    if action.drains:
        return Interruption(containers, moved=finding.services)
    return Interruption(containers, finding.services if stops else ())
