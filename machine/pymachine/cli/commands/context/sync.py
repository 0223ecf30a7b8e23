"""``context sync``: make a docker context for each machine, and bring those there are up to date."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.contexts import at_hand, contexts, show
from pymachine.cli.lookup import ready
from pymachine.cli.options import JSON, NAMES, command
from pymachine.cli.output import note
from pymachine.docker_contexts.machine_contexts import KeptContext
from pymachine.model import Phase
from pymachine.store import Broken


@command()
@JSON
@NAMES
@click.pass_obj
def sync(app: App, names: tuple[str, ...], as_json: bool) -> None:
    """Make a docker context for each machine, and remove those of machines that are gone.

    With names, only those of these machines. From then on a context follows its machine: its address, its
    certificates, its removal. Contexts that pymachine did not make are not changed.

    \b
    Examples:
      pymachine context sync && docker context ls
      pymachine context sync web && docker --context web ps
    """
    machines = [ready(app, name) for name in dict.fromkeys(names or _ready_ones(app))]
    ours = contexts(app)
    done: list[KeptContext] = []
    try:
        done.extend(ours.keep(at_hand(app, machine)) for machine in machines)
        done.extend([] if names else ours.tidy())
    finally:
        show(done, as_json=as_json)


def _ready_ones(app: App) -> list[str]:
    """Return the names of machines that can have a context, and tell of the others."""
    found = []
    for record in app.store.records():
        if isinstance(record, Broken):
            note(f"warning: {record.name}: its record cannot be read")
        elif record.phase is Phase.READY and record.endpoint is not None:
            found.append(record.name)
        else:
            note(f"note: {record.name} is not ready, and gets no context")
    return found
