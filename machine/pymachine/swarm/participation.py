"""Whether a machine takes part in its Swarm: asked of its engine, else of the managers, else of its host over SSH."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pymachine.engine.host_facts import HostFacts
from pymachine.errors import PymachineError
from pymachine.events import Silent
from pymachine.model import Machine, State
from pymachine.steps.address import located_at_work, state_of
from pymachine.steps.reach import Reach
from pymachine.steps.services import Services
from pymachine.steps.session import Session
from pymachine.steps.survey import collect_facts
from pymachine.swarm.control import engine_of
from pymachine.swarm.status import status
from pymachine.swarm_api.protocol import ACTIVE

_OFF = (State.STOPPED, State.STOPPING, State.MISSING)  # nothing runs there


def is_taking_part(name: str, tools: Services) -> bool | None:
    """Whether tasks have to move before the machine's engine restarts; None where nobody can be asked who knows.

    A node on record takes part by its engine's word, or else by the managers'. If none of these answers, the host
    says over SSH whether its engine runs, takes part, and has other nodes to move tasks to.
    """
    machine = tools.store.get(name)
    if machine.swarm is None:
        return False
    try:
        with engine_of(machine, tools) as engine:
            return engine.node_status().state == ACTIVE
    except PymachineError:
        return _by_managers(machine, tools)


def _by_managers(machine: Machine, tools: Services) -> bool | None:
    """Ask the managers of a machine whose engine does not answer us; its certificate may have ended."""
    try:
        view = status(tools, [machine.name])
    except PymachineError:
        return _by_host(machine, tools)
    if view.quorum_lost:
        return False
    if not view.spoken_to:
        return _by_host(machine, tools)
    node = view.node_of(machine.name)
    return node is not None and node.ready


def _by_host(machine: Machine, tools: Services) -> bool | None:
    quiet = replace(tools, reporter=Silent())
    session = Session(quiet, tools.driver_of(machine), recorded=False)
    if state_of(machine, session) in _OFF:
        return False
    try:
        reached = session.perform((Reach(),), located_at_work(machine, session))
        return _needs_drain(collect_facts(reached, session))
    except PymachineError:
        return None
    finally:
        session.disconnect()


def _needs_drain(facts: HostFacts) -> bool | None:
    """Whether an engine that only its host reaches has tasks to move: then nobody can be asked to move them."""
    if facts.engine is None or not facts.engine.active:
        return False
    swarm: dict[str, Any] | None = facts.engine.info.get("Swarm")
    if not facts.engine.info or not isinstance(swarm, dict):
        return None
    if swarm.get("LocalNodeState") != ACTIVE:
        return False
    return False if swarm.get("Nodes") == 1 else None
