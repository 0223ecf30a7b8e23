"""``swarm status``: show the nodes of a Swarm and its quorum."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.options import JSON, NAMES, command
from pymachine.cli.output import dump
from pymachine.cli.swarm_output import (
    show,
    status_document,
    trouble_of,
)


@command()
@JSON
@NAMES
@click.pass_obj
def status(app: App, names: tuple[str, ...], as_json: bool) -> None:
    """Show a Swarm: its nodes, its quorum, and missing machines."""
    from pymachine import swarm as verbs

    view = verbs.status(app.tools, existing(app, names) if names else ())
    if as_json:
        dump(status_document(view))
    elif not view.trouble:
        show(view)
    if view.trouble or view.quorum_lost:
        raise trouble_of(view)
