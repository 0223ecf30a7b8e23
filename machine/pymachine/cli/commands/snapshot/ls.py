"""``snapshot ls``: list the snapshots of a machine."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import one
from pymachine.cli.options import JSON, NAME, command
from pymachine.cli.output import columns, dump
from pymachine.documents import to_document


@command()
@JSON
@NAME
@click.pass_obj
def ls(app: App, name: str | None, as_json: bool) -> None:
    """List the snapshots of a machine, oldest first."""
    from pymachine import snapshots

    kept = snapshots.snapshots(one(app, name).name, app.tools)
    if as_json:
        dump([to_document(snap) for snap in kept])
        return
    rows = [(snap.name, "*" if snap.current else "-", snap.created, snap.state) for snap in kept]
    columns(("NAME", "CURRENT", "CREATED", "STATE"), rows)
