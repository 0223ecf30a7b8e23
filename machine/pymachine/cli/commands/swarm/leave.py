"""``swarm leave``: have machines leave their Swarm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.lookup import unlock as take_leases
from pymachine.cli.options import FORCE_UNLOCK, NAMES, YES, command, with_options
from pymachine.cli.output import note, say
from pymachine.cli.parallel import after, for_each, one_by_one
from pymachine.swarm_api.view import MANAGER


@command()
@with_options(
    (
        YES,
        click.option("-f", "--force", is_flag=True, help="Continue without machines that do not answer."),
        click.option("--dissolve", is_flag=True, help="Let the last manager leave too; this ends the Swarm."),
        FORCE_UNLOCK,
        NAMES,
    )
)
@click.pass_obj
def leave(app: App, names: tuple[str, ...], yes: bool, force: bool, dissolve: bool) -> None:
    """Have machines leave their Swarm: workers first, then managers one after another."""
    wanted = existing(app, names, careful=True)
    instead = f"use -y to end it without confirmation: pymachine swarm leave -y --dissolve {' '.join(wanted)}"
    if (
        dissolve
        and not yes
        and not app.asker.confirm("Services and their state are lost with the Swarm. Continue?", instead=instead)
    ):
        note("nothing was changed")
        return
    take_leases(app, wanted)
    from pymachine import swarm as verbs

    tools = app.tools

    def work(name: str) -> None:
        verbs.leave(name, tools, force=force, dissolve=dissolve)

    managers = [name for name in wanted if (place := tools.store.get(name).swarm) and place.role == MANAGER]
    workers = [name for name in wanted if name not in managers]
    _each(app, workers, work, "has left the Swarm")
    with after(workers):
        one_by_one(managers, work, lambda name, _: say(f"{name} has left the Swarm"))


def _each(app: App, names: Sequence[str], work: Callable[[str], None], outcome: str) -> None:
    if names:
        for_each(names, work, lambda name, _: say(f"{name} {outcome}"))
