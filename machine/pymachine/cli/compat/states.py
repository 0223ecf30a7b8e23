"""States in docker-machine's words, and the question whether a machine runs."""

from __future__ import annotations

from pymachine.cli.app import App
from pymachine.cli.compat.app import HostDown
from pymachine.errors import Unreachable
from pymachine.model import Machine, State

TIMEOUT = 10.0  # seconds
_WORDS = {State.UNREACHABLE: State.TIMEOUT, State.UNKNOWN: State.TIMEOUT, State.MISSING: State.ERROR}
_ANSWERS = (State.RUNNING, State.STARTING)


def their_state(state: str) -> str:
    """Return docker-machine's word for a state, which has none for a host that is gone or cannot be asked."""
    return _WORDS.get(State(state), State(state)) if state else ""


def refuse_down(app: App, machine: Machine, what: str = "") -> None:
    """Raise ``HostDown`` if neither the engine nor the host of a machine answers; ``what`` was to be asked of it."""
    from pymachine.probe import probe_machines

    result = probe_machines([machine], app.tools, TIMEOUT)[machine.name]
    if result.state not in (*_ANSWERS, State.TIMEOUT, State.UNKNOWN, State.ERROR):
        raise HostDown(f"{machine.name} does not run ({result.state})", what=what, hint=result.reason or None)


def down(app: App, machine: Machine, error: Unreachable, what: str) -> Unreachable | HostDown:
    """Return the error for an engine that did not answer: of its host, if that does not answer either."""
    try:
        refuse_down(app, machine, what)
    except HostDown as fault:
        return fault
    return error
