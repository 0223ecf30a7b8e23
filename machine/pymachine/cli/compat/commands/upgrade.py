"""``upgrade``: upgrade the engines of machines; those that are off are powered on first."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.commands.upgrade import upgrade as ours
from pymachine.cli.compat.states import TIMEOUT
from pymachine.cli.lookup import existing
from pymachine.cli.options import NAMES, command
from pymachine.cli.parallel import for_each, stoppable
from pymachine.model import State

OFF = (State.STOPPED, State.SAVED, State.PAUSED)


@command()
@NAMES
@click.pass_context
def upgrade(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Upgrade the engines of machines to the newest available or a given version."""
    app = ctx.ensure_object(App)
    wanted = existing(app, names)
    _power_on(app, wanted)
    ctx.invoke(ours, names=tuple(wanted))


def _power_on(app: App, names: list[str]) -> None:
    from pymachine import power
    from pymachine.probe import probe_machines

    results = probe_machines([app.store.get(name) for name in names], app.tools, TIMEOUT)
    off = [name for name in names if results[name].state in OFF]
    tools, stop = stoppable(app.tools)
    for_each(off, lambda name: power.start(name, tools), lambda name, _: None, stop=stop)
