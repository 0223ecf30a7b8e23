"""``rm``: remove machines; with -f those that are gone are no error."""

from __future__ import annotations

from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.commands.rm import rm as ours
from pymachine.cli.lookup import known_names
from pymachine.cli.options import command, complete_names
from pymachine.cli.output import note
from pymachine.errors import UsageFault


@command()
@click.option("-f", "--force", is_flag=True, help="Remove machines even if their host cannot be reached; do not ask.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete_names)
@click.pass_context
def rm(ctx: click.Context, names: tuple[str, ...], force: bool, yes: bool) -> None:
    """Remove machines: their set-up, what the driver created, and the record."""
    if not names:
        raise UsageFault("rm needs the names of the machines to remove", hint=f"{ctx.command_path} NAME...")
    wanted: Any = _present(ctx.ensure_object(App), names) if force else names
    if wanted:
        ctx.invoke(ours, names=wanted, force=force, yes=yes)


def _present(app: App, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of machines that exist, and report the others."""
    known = {name.lower() for name in known_names(app.store)}
    for name in names:
        if name and name.lower() not in known:
            note(f"{name}: there is no such machine")
    return tuple(name for name in names if not name or name.lower() in known)
