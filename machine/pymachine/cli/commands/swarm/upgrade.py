"""``swarm upgrade``: upgrade the engines of a Swarm, one after another."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.lookup import unlock as take_leases
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command, with_options
from pymachine.cli.output import say
from pymachine.cli.parallel import after, for_each, stoppable
from pymachine.cli.swarm_output import (
    members,
    trouble_of,
)


@command()
@with_options(
    (
        click.option("--version", metavar="VERSION", help="Engine version.  [default: the newest]"),
        click.option(
            "--batch", type=click.IntRange(1), default=1, show_default=True, help="Number of workers at a time."
        ),
        FORCE_UNLOCK,
        NAMES,
    )
)
@click.pass_obj
def upgrade(app: App, names: tuple[str, ...], version: str | None, batch: int) -> None:
    """Upgrade the engines of a Swarm, node by node.

    Managers are upgraded one by one, the leader last, then workers. Each node is drained meanwhile."""
    from pymachine import swarm as verbs

    tools, stop = stoppable(app.tools)
    wanted = existing(app, names) if names else ()
    view = verbs.status(tools, wanted)
    if view.trouble:
        raise trouble_of(view)
    managers, workers = members(view, wanted)
    take_leases(app, [*managers, *workers])

    def work(name: str) -> str:
        return verbs.upgrade(name, tools, version=version).engine_version or "unknown"

    done: list[str] = []

    def tell(name: str, engine: str) -> None:
        done.append(name)
        say(f"{name} has engine {engine}")

    with after(done):
        while (name := verbs.next_manager(verbs.status(tools, managers), managers) if managers else None) is not None:
            tell(name, work(name))
            managers.remove(name)
        for begin in range(0, len(workers), batch):
            for_each(workers[begin : begin + batch], work, tell, stop=stop)
