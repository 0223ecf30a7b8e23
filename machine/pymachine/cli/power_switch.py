"""Machines switched on or off, several at a time."""

from __future__ import annotations

from pymachine.cli.app import App
from pymachine.cli.lookup import existing, unlock
from pymachine.cli.output import say
from pymachine.cli.parallel import for_each, stoppable


def switch(app: App, names: tuple[str, ...], verb: str, outcome: str) -> None:
    """Start, stop or kill machines, as ``verb`` says, and print each with its ``outcome``."""
    from pymachine import power, swarm

    tools, stop = stoppable(app.tools)
    action = {"start": power.start, "stop": swarm.stop_node, "kill": swarm.kill_node}[verb]
    wanted = existing(app, names)
    unlock(app, wanted)
    for_each(wanted, lambda name: action(name, tools), lambda name, _: say(f"{name} {outcome}"), stop=stop)
