"""``swarm join``: join machines to a Swarm."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.lookup import unlock as take_leases
from pymachine.cli.options import FORCE_UNLOCK, NAMES, command, complete_names, with_options
from pymachine.cli.swarm_nodes import ADVERTISE, join_all
from pymachine.cli.swarm_output import (
    advertised,
    advise,
    managers_on_record,
)
from pymachine.errors import UsageFault
from pymachine.fleet.inventory.model import NodeSpec
from pymachine.swarm_api.view import MANAGER, WORKER


@command()
@with_options(
    (
        click.option(
            "--to",
            "member",
            metavar="MEMBER",
            shell_complete=complete_names,
            help="A machine that is a member of the Swarm.",
        ),
        click.option("--manager", is_flag=True, help="Join as managers, one at a time."),
        ADVERTISE,
        FORCE_UNLOCK,
        NAMES,
    )
)
@click.pass_obj
def join(app: App, names: tuple[str, ...], member: str | None, manager: bool, advertise: tuple[str, ...]) -> None:
    """Join machines to a Swarm; nodes that are in it already are recorded."""
    if member is None:
        raise UsageFault("join to which Swarm?", hint="name a machine of it: pymachine swarm join --to MEMBER NAME")
    wanted = existing(app, names, careful=True)
    take_leases(app, wanted)
    node = NodeSpec(MANAGER if manager else WORKER)
    join_all(app, wanted, node, advertised(advertise, wanted), via=managers_on_record(app, member))
    if manager:
        advise(app, wanted[0])
