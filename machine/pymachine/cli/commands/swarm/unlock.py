"""``swarm unlock``: unlock managers after a restart."""

from __future__ import annotations

import sys

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.lookup import unlock as take_leases
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command
from pymachine.cli.output import say
from pymachine.cli.parallel import one_by_one


@command()
@click.option(
    "--key-stdin", is_flag=True, help="Read the key from standard input; it is stored if it unlocks the Swarm."
)
@FORCE_UNLOCK
@NAMES
@click.pass_obj
def unlock(app: App, names: tuple[str, ...], key_stdin: bool) -> None:
    """Unlock managers after a restart, with the key in the store; without NAME, all locked ones."""
    from pymachine import swarm as verbs

    tools = app.tools
    wanted = existing(app, names) if names else list(verbs.status(tools).locked)
    key = sys.stdin.readline().strip() if key_stdin else None
    take_leases(app, wanted)
    one_by_one(
        wanted,
        lambda name: verbs.unlock(name, tools, key=key),
        lambda name, was_locked: say(f"{name} {'is unlocked' if was_locked else 'was not locked'}"),
    )
    if not wanted:
        say("no manager is locked")
