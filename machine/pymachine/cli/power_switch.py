"""Power commands on several machines in parallel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing, unlock
from pymachine.cli.output import say
from pymachine.cli.parallel import for_each, stoppable

FORCE = click.option("-f", "--force", is_flag=True, help="Continue if a Swarm loses the quorum of its managers.")


def switch(
    app: App,
    names: tuple[str, ...],
    action: Callable[..., object],
    outcome: str,
    check: Callable[[Sequence[str]], None] | None = None,
) -> None:
    """Do this to machines and print each with its ``outcome``.

    ``check``, for what ends the machines' work, may refuse the names before any is begun.
    """
    tools, stop = stoppable(app.tools)
    wanted = existing(app, names, careful=check is not None)
    unlock(app, wanted)
    if check is not None:
        check(wanted)
    for_each(wanted, lambda name: action(name, tools), lambda name, _: say(f"{name} {outcome}"), stop=stop)


def switch_off(app: App, names: tuple[str, ...], action: Callable[..., object], *, force: bool) -> None:
    """Stop or kill machines, of which those of one Swarm are counted together before any is begun."""
    from pymachine.swarm import refuse_outage

    def check(wanted: Sequence[str]) -> None:
        if len(wanted) > 1 and not force:
            refuse_outage(wanted, app.tools)

    switch(app, names, lambda name, tools: action(name, tools, force=force), "is stopped", check)
