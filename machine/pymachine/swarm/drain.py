"""Drains nodes while something is done to them, and gives them back their availability."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from pymachine.errors import EngineError, Interrupted, LeaseHeld, PymachineError, Unreachable, refuses, too_late
from pymachine.interruption import unstopped
from pymachine.model import Machine
from pymachine.steps.services import Services
from pymachine.swarm.control import awaited, control, engine_of, member_at_work, unlocked, via_of
from pymachine.swarm.nodes import await_no_tasks
from pymachine.swarm.quorum import may_rest
from pymachine.swarm.quorum_lease import drain_held, leads, quorum_held
from pymachine.swarm_api.protocol import ACTIVE, LOCKED, NodeChange
from pymachine.swarm_api.view import DRAINED_LABEL

BACK_PATIENCE = 240.0
AFTER_PATIENCE = 60.0  # after a failure or Ctrl-C: an engine that restarts at that moment is back by then


@contextmanager
def drained(name: str, tools: Services, *, via: Sequence[str] = ()) -> Iterator[None]:
    """Have the node run no tasks in the block, then wait until it takes part again and give it back its availability.

    A manager is refused where the others would be no majority without it; until it is back no other process takes
    one away. If the block is never left, the next call still knows the availability of before. The machine's lease is
    free in the block, for other verbs. Where draining or the block fails, or is interrupted, the node is given back
    as soon as it takes part, within a minute; else the error says that it stays drained.
    """
    sent = threading.Event()
    with ExitStack() as held:
        held.enter_context(drain_held(name, tools))
        try:
            _drain(name, tools, via, held, sent)
            yield
        except (Exception, KeyboardInterrupt) as error:
            if sent.is_set():
                _give_back_after(error, name, tools, via)
            raise
        give_back(name, tools, via, patience=BACK_PATIENCE)


def give_back_left(name: str, tools: Services, *, via: Sequence[str] = ()) -> None:
    """Activate a node that a killed command left drained; one that is being worked on now is not touched."""
    machine = tools.store.get(name)
    with suppress(LeaseHeld), drain_held(name, tools):
        with control(tools, via_of(machine, via, tools), last=name) as manager:
            left = DRAINED_LABEL in manager.get(machine).labels
        if left:
            give_back(name, tools, via, patience=BACK_PATIENCE)


def _drain(name: str, tools: Services, via: Sequence[str], held: ExitStack, sent: threading.Event) -> None:
    """Drain the node; ``sent`` before it is told to, and of a manager the managers' lease ``held``."""
    if cluster := _led_by(name, tools, via):
        held.enter_context(quorum_held(cluster, name, "restart of manager", tools))
    with (
        member_at_work(name, "drain", tools) as (_, machine),
        control(tools, via_of(machine, via, tools), last=name) as manager,
    ):
        node = manager.get(machine)
        may_rest(name, node, manager.quorum())
        former = node.labels.get(DRAINED_LABEL, node.availability)
        note = NodeChange(availability="drain", labels=lambda labels: {**labels, DRAINED_LABEL: former})
        sent.set()
        manager.engine.change_node(node.id, note)
        await_no_tasks(name, node, manager, tools)


def _led_by(name: str, tools: Services, via: Sequence[str]) -> str:
    """Return the id of the Swarm that the machine manages now; empty for a worker."""
    machine = tools.store.get(name)
    with control(tools, via_of(machine, via, tools), last=name) as manager:
        return manager.cluster if leads(machine, manager) else ""


def _give_back_after(error: BaseException, name: str, tools: Services, via: Sequence[str]) -> None:
    """Give the node back after what went wrong; say so in the error where that cannot be done now.

    A refusal promises that nothing was changed: with a node that stays drained it is the failure of a step.
    """
    try:
        give_back(name, tools, via, patience=AFTER_PATIENCE)
    except (PymachineError, KeyboardInterrupt) as trouble:
        hint = f"{name} stays drained: run the same command again, or `pymachine swarm activate {name}`"
        why = trouble.message if isinstance(trouble, PymachineError) else "interrupted again"
        tools.reporter.notice(name, f"it stays drained: {why}")
        if isinstance(error, Interrupted | KeyboardInterrupt):
            told = error.message if isinstance(error, Interrupted) else "interrupted"
            raise Interrupted(f"{told}; {name} stays drained", hint=hint) from error
        if not isinstance(error, PymachineError):
            return
        if refuses(error):
            raise too_late(error, f"with {name} drained", hint) from error
        error.hint = "; ".join(filter(None, (error.hint, hint)))


def give_back(name: str, tools: Services, via: Sequence[str], *, patience: float) -> None:
    """Wait until the node is back, then restore its former availability. A stop does not interrupt this."""
    tools = unstopped(tools)
    with member_at_work(name, "activate", tools) as (_, machine):
        awaited(
            tools,
            lambda: _given_back(machine, via, tools),
            f"{name} to rejoin the Swarm",
            patience=patience,
            hint=f"it stays drained; `pymachine swarm status` shows its state, `swarm activate {name}` activates it",
        )


def _given_back(machine: Machine, via: Sequence[str], tools: Services) -> bool | None:
    """Restore the node if it and the managers answer: after a restart both may need some seconds."""
    state = _state(machine, tools)
    if state == LOCKED:
        with engine_of(machine, tools) as engine:
            unlocked(engine, machine, tools)
    elif state != ACTIVE:
        return None
    try:
        with control(tools, via_of(machine, via, tools), last=machine.name) as manager:
            node = manager.get(machine)
            former = node.labels.get(DRAINED_LABEL)
            if node.ready and former is not None:
                manager.engine.change_node(node.id, NodeChange(availability=former, labels=_without_note))
            return node.ready or None
    except (EngineError, Unreachable):
        return None


def _state(machine: Machine, tools: Services) -> str:
    """The engine's Swarm state; empty if it does not answer."""
    try:
        with engine_of(machine, tools) as engine:
            return engine.node_status().state
    except (EngineError, Unreachable):
        return ""


def _without_note(labels: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key != DRAINED_LABEL}
