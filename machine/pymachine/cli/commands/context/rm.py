"""``context rm``: remove the docker contexts of machines."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.contexts import contexts, show
from pymachine.cli.lookup import existing
from pymachine.cli.options import JSON, command, complete_names
from pymachine.cli.output import note
from pymachine.errors import UsageFault
from pymachine.store import readable


@command()
@click.option("--all", "every", is_flag=True, help="Remove the contexts of all machines of this store.")
@JSON
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names)
@click.pass_obj
def rm(app: App, names: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Remove the docker contexts of machines.

    The machines stay. Contexts that pymachine did not make are not touched.

    \b
    Examples:
      pymachine context rm web db
      pymachine context rm --all
    """
    if bool(names) == every:
        raise UsageFault("context rm needs the names of machines, or --all", hint="pymachine context rm NAME...")
    wanted = existing(app, names) if names else None
    machines = [machine for machine in readable(app.store) if wanted is None or machine.name in wanted]
    ours = contexts(app)
    removed = [context for machine in machines for context in ours.forget(machine.id, machine.name)]
    removed += ours.tidy() if every else []
    show(removed, as_json=as_json)
    if not removed:
        note("note: there was no context to remove")
