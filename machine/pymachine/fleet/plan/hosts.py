"""From the facts of a host to what a plan has to know of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pymachine.engine.effects import Change
from pymachine.engine.host_facts import HostFacts
from pymachine.engine.live_restore import stops_containers
from pymachine.engine.setup import plan_setup
from pymachine.errors import CheckFailed, UsageFault
from pymachine.fleet.plan.observed import ObservedMachine
from pymachine.model import EngineSpec, Machine, State
from pymachine.swarm_api.protocol import INACTIVE, NodeStatus


def read_host(
    machine: Machine, wanted: EngineSpec, facts: HostFacts, *, own_host: bool, renewals: Sequence[Change] = ()
) -> ObservedMachine:
    """Return how the host is, against the engine that is wanted there.

    ``own_host`` says that pymachine made the host; ``renewals`` are its certificates that are to be new. Versions are
    compared by the plan, not here.
    """
    engine = facts.engine
    version = engine.version if engine else ""
    finding = ObservedMachine(
        State.RUNNING, engine=version, node=_node_status(facts), changes=tuple(renewals), addresses=facts.addresses,
        bridges=facts.bridges, containers=_others(facts), services=_services(facts), bare=engine is None,
        vacant=_vacant(facts),
    )  # fmt: skip
    # As it will be on the record when it has been set up so.
    trial = machine.with_(engine=replace(wanted, version=None))
    try:
        setup = plan_setup(trial, facts, own_host=own_host, former=machine.engine, renewals=renewals)
    except (CheckFailed, UsageFault) as error:
        return replace(finding, refusal=error.message, refusal_hint=error.hint or "")
    stops = stops_containers(engine, setup.config.live_restore)
    return replace(finding, changes=setup.changes, restart_stops=stops)


def _vacant(facts: HostFacts) -> bool:
    """Whether the host is in no Swarm for certain: no engine is there, or it says so."""
    return facts.engine is None or (bool(facts.engine.info) and _node_status(facts).state == INACTIVE)


def _others(facts: HostFacts) -> tuple[str, ...] | None:
    """Return the running containers that no Swarm runs; None where the installed engine did not say."""
    engine = facts.engine
    if engine is None or not engine.active:
        return ()
    return tuple(name for name in engine.containers if name not in engine.tasks) if engine.info else None


def _services(facts: HostFacts) -> tuple[str, ...]:
    return tuple(sorted(set(facts.engine.tasks.values()))) if facts.engine else ()


def _node_status(facts: HostFacts) -> NodeStatus:
    swarm: Mapping[str, Any] = (facts.engine.info.get("Swarm") if facts.engine else None) or {}
    return NodeStatus(
        state=str(swarm.get("LocalNodeState") or "inactive"),
        node=str(swarm.get("NodeID") or ""),
        cluster=str((swarm.get("Cluster") or {}).get("ID") or ""),
        control=bool(swarm.get("ControlAvailable")),
    )
