"""Joins of several machines to a Swarm, and changes of several nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.lookup import unlock as take_leases
from pymachine.cli.output import say
from pymachine.cli.parallel import for_each, one_by_one
from pymachine.cli.swarm_output import advise
from pymachine.fleet.inventory.model import NodeSpec
from pymachine.swarm_api.view import MANAGER

ADVERTISE = click.option(
    "--advertise", multiple=True, metavar="NAME=ADDRESS",
    help="Address that a machine advertises to the other nodes, if not the one that is detected.",
)  # fmt: skip


def join_all(
    app: App, names: Sequence[str], node: NodeSpec, addresses: Mapping[str, str], via: Sequence[str]
) -> None:
    """Have machines join a Swarm, managers one after another, and print the role of each."""
    from pymachine import swarm as verbs

    tools = app.tools

    def work(name: str) -> str:
        wanted = replace(node, advertise=addresses.get(name))
        place = verbs.join(name, wanted, tools, via=via, keep=True).swarm
        return place.role if place else node.role

    if node.role == MANAGER:
        one_by_one(names, work, lambda name, role: say(f"{name} is a {role}"))
    elif names:
        for_each(names, work, lambda name, role: say(f"{name} is a {role}"))


def change_all(app: App, names: Sequence[str], wanted: Mapping[str, str], outcome: str) -> None:
    """Change the role or availability of nodes one after another, and print each with its ``outcome``."""
    from pymachine import swarm as verbs

    tools = app.tools
    known = existing(app, names, careful=True)
    take_leases(app, known)
    one_by_one(known, lambda name: verbs.change(name, tools, **wanted), lambda name, _: say(f"{name} {outcome}"))
    if "role" in wanted:
        advise(app, known[0])
