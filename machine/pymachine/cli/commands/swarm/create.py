"""``swarm create``: create a Swarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.lookup import unlock as take_leases
from pymachine.cli.options import FORCE_UNLOCK, command, complete_names, with_options
from pymachine.cli.output import say
from pymachine.cli.parallel import after
from pymachine.cli.swarm_nodes import ADVERTISE, join_all
from pymachine.cli.swarm_output import (
    advertised,
    advise,
)
from pymachine.errors import UsageFault
from pymachine.fleet.inventory.model import NodeSpec, SwarmSpec
from pymachine.swarm_api.view import MANAGER, WORKER


@command()
@with_options(
    (
        click.option(
            "--worker", "workers", multiple=True, metavar="NAME", shell_complete=complete_names,
            help="A machine that joins as a worker.",
        ),
        click.option("--autolock", is_flag=True, help="Enable autolock: managers are locked after a restart."),
        click.option("--pool", "pools", multiple=True, metavar="NETWORK", help="Address pool for overlay networks."),
        click.option("--subnet-size", type=int, default=24, show_default=True, help="Prefix length of its subnets."),
        click.option("--data-path-port", type=click.IntRange(1024, 49151), help="UDP port of overlay data.  [4789]"),
        ADVERTISE,
        FORCE_UNLOCK,
    )
)  # fmt: skip
@click.argument("managers", nargs=-1, metavar="MANAGER...", shell_complete=complete_names)
@click.pass_obj
def create(app: App, /, managers: tuple[str, ...], workers: tuple[str, ...], **given: Any) -> None:
    """Create a Swarm with these machines as managers; the first one initialises it.

    Run the command again to continue one that stopped half-way.
    """
    names, others = _cast(app, managers, workers)
    spec = SwarmSpec(given["autolock"], given["pools"], given["subnet_size"], given["data_path_port"])
    addresses = advertised(given["advertise"], [*names, *others])
    from pymachine import swarm as verbs

    tools = app.tools
    first = names[0]
    node = NodeSpec(MANAGER, advertise=addresses.get(first))
    verbs.init(first, spec, node, tools, peers=[*names, *others], keep=True)
    say(f"{first} is a manager")
    with after([first]):
        join_all(app, names[1:], replace(node, advertise=None), addresses, via=[first])
        join_all(app, others, NodeSpec(WORKER), addresses, via=names)
    advise(app, first)


def _cast(app: App, managers: Sequence[str], workers: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names as the store spells them, each with one role."""
    if not managers:
        raise UsageFault("a Swarm needs a manager", hint="pymachine swarm create MANAGER --worker WORKER")
    names = existing(app, managers, careful=True)
    others = existing(app, workers) if workers else []
    both = [name for name in names if name in others]
    if both:
        raise UsageFault(f"{both[0]} cannot be manager and worker at once", hint="name it once")
    take_leases(app, [*names, *others])
    return names, others
