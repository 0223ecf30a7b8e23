"""``swarm recover``: recover a Swarm that has permanently lost the majority of its managers."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.lookup import unlock as take_leases
from pymachine.cli.options import FORCE_UNLOCK, NAMES, YES, command, complete_names, with_options
from pymachine.cli.output import note
from pymachine.cli.swarm_output import (
    show,
)


@command()
@with_options(
    (
        YES,
        click.option(
            "--survivor", metavar="NAME", shell_complete=complete_names, help="The manager to recover from."
        ),
        FORCE_UNLOCK,
        NAMES,
    )
)
@click.pass_obj
def recover(app: App, names: tuple[str, ...], yes: bool, survivor: str | None) -> None:
    """Recover a Swarm that has permanently lost the majority of its managers.

    One manager continues alone, and the others rejoin.
    """
    from pymachine import swarm as verbs

    tools = app.tools
    wanted = existing(app, names) if names else ()
    loss = verbs.survey_loss(tools, wanted)
    chosen = survivor or loss.survivors[0]
    note(
        f"{loss.in_words()}. Services continue to run. Start the lost managers if possible: "
        f"then no recovery is needed. Else {chosen} continues alone with its own state; later changes that only the "
        "lost managers have are lost, and they must not rejoin with their old state."
    )
    instead = f"use -y to continue without confirmation: pymachine swarm recover -y --survivor {chosen}"
    if not (yes or app.asker.confirm(f"Make {chosen} the only manager?", instead=instead)):
        note("nothing was changed")
        return
    take_leases(app, loss.survivors)
    show(verbs.recover(tools, wanted, survivor=chosen))
    for name in loss.lost:
        note(
            f"note: {name}: `pymachine swarm join --manager --to {chosen} {name}` if it runs again, "
            f"or `pymachine rm -f {name}`"
        )
