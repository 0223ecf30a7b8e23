"""``upgrade``: upgrade the engine of existing machines."""

from __future__ import annotations

from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.engine_changes import make_changes, show_changes
from pymachine.cli.engine_options import VERSION, spec_changes
from pymachine.cli.options import DRY_RUN, FORCE_UNLOCK, JSON, NAMES, NO_DRAIN, command


@command()
@VERSION
@NO_DRAIN
@FORCE_UNLOCK
@DRY_RUN
@JSON
@NAMES
@click.pass_obj
def upgrade(app: App, /, names: tuple[str, ...], dry_run: bool, as_json: bool, **given: Any) -> None:
    """Upgrade the engines of machines to the newest available or a given version.

    Swarm nodes are drained meanwhile, one after another.
    """
    wanted, drain = spec_changes({"version": given["version"]}).get("version"), not given["no_drain"]
    from pymachine import provision as verbs
    from pymachine.swarm import upgrade_node

    tools = app.tools
    if dry_run:
        show_changes(
            app, names, lambda name: verbs.preview_upgrade(name, tools, version=wanted), as_json, drain=drain
        )
    else:
        make_changes(app, names, lambda name, tools: upgrade_node(name, tools, drain=drain, version=wanted), as_json)
