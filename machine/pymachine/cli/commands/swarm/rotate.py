"""``swarm rotate``: replace keys of a Swarm."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import unlock as take_leases
from pymachine.cli.options import FORCE_UNLOCK, command, complete_names, with_options
from pymachine.cli.output import say
from pymachine.cli.swarm_output import (
    managers_on_record,
)
from pymachine.errors import UsageFault
from pymachine.swarm_api.protocol import Rotation


@command()
@with_options(
    (
        click.option("--worker-token", is_flag=True, help="The join token for workers."),
        click.option("--manager-token", is_flag=True, help="The join token for managers."),
        click.option("--unlock-key", is_flag=True, help="The unlock key of managers; it is stored in each record."),
        click.option("--ca", "authority", is_flag=True, help="The certificate authority and all its certificates."),
        FORCE_UNLOCK,
        click.argument("member", required=False, shell_complete=complete_names),
    )
)
@click.pass_obj
def rotate(app: App, /, member: str | None, **given: bool) -> None:
    """Replace keys of a Swarm; the previous ones stop working."""
    if not any(given.values()):
        raise UsageFault("rotate what?", hint="--worker-token, --manager-token, --unlock-key, --ca")
    from pymachine import swarm as verbs

    via = managers_on_record(app, member)
    take_leases(app, via)
    verbs.rotate(Rotation(**given), app.tools, via=via)
    called = {"worker_token": "worker token", "manager_token": "manager token", "authority": "certificate authority"}
    for what in (name for name, wanted in given.items() if wanted):
        say(f"the {called.get(what, 'unlock key')} was rotated")
