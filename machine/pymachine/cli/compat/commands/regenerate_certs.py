"""``regenerate-certs``: the machine's authority signs its certificates again."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.engine_changes import make_changes
from pymachine.cli.lookup import existing
from pymachine.cli.options import NAMES, command
from pymachine.cli.output import note
from pymachine.tls import Part


@command()
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("--client-certs", is_flag=True, help="Issue the client's certificate as well.")
@NAMES
@click.pass_obj
def regenerate_certs(app: App, names: tuple[str, ...], force: bool, client_certs: bool) -> None:
    """Issue the certificates of machines again.

    The authority stays, so client keys in use stay valid; `pymachine provision --new-certificates` replaces it.
    """
    wanted = existing(app, names)
    question = f"The certificates of {', '.join(wanted)} are issued again, and the engines get them. Continue?"
    if not force and not app.asker.confirm(question, instead="use -f to issue them without confirmation"):
        note("nothing was changed")
        return
    from pymachine.swarm import provision_node

    parts: tuple[Part, ...] = ("server", "client") if client_certs else ("server",)
    make_changes(app, wanted, lambda name, tools: provision_node(name, tools, drain=True, renew=parts), False)
