"""``fleet status``: list the machines of a fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pymachine.cli.app import App
from pymachine.cli.fleet_options import FILES, LIMIT, UNSEEN, opened
from pymachine.cli.options import JSON, command
from pymachine.cli.output import columns, dump, note, say
from pymachine.cli.table import Layout
from pymachine.errors import QuorumLost

if TYPE_CHECKING:
    from pymachine.fleet.apply.status import Overview

STATUS_DEADLINE = 10.0
MACHINES = Layout(("DRIVER", "ENGINE", "SWARM"), below="")
SERVICES = Layout(below="")


@command()
@FILES
@LIMIT
@JSON
@click.pass_obj
def status(app: App, files: tuple[str, ...], limit: tuple[str, ...], as_json: bool) -> int:
    """List the machines of a fleet: state, engine and Swarm role, and the replicas of services.

    The exit code is 1 if the Swarm has lost its quorum, and 5 if a part could not be asked.
    """
    from pymachine.documents import to_document
    from pymachine.fleet.apply.status import overview

    with opened(app, files, limit) as (work, names):
        found = overview(work.fleet, names, app.tools, STATUS_DEADLINE)
    app.settle()
    if as_json:
        dump(to_document(found))
    else:
        _show(found)
    for told in found.notes:
        note(f"note: {told}")
    if found.quorum_lost:
        raise QuorumLost(found.swarm, hint="`pymachine swarm status` shows which managers do not answer")
    return 0 if found.complete else UNSEEN


def _show(found: Overview) -> None:
    headers = ("MACHINE", "DRIVER", "STATE", "ENGINE", "SWARM", "ADDRESS", "")
    columns(
        headers,
        [(r.name, r.driver, r.state, r.engine, r.node, r.address, r.remark) for r in found.machines],
        MACHINES,
    )
    if found.swarm:
        say(found.swarm)
    if found.services:
        columns(("SERVICE", "REPLICAS", ""), [(s.name, s.replicas, s.remark) for s in found.services], SERVICES)
