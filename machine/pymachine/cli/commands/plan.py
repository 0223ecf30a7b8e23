"""``plan``: show what ``apply`` would change, and why."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.fleet_options import CHANGES, FILES, LIMIT, UNSEEN, WIDE, opened
from pymachine.cli.options import JSON, command
from pymachine.cli.output import dump


@command()
@FILES
@LIMIT
@WIDE
@JSON
@click.pass_obj
def plan(app: App, files: tuple[str, ...], limit: tuple[str, ...], parallel: int, as_json: bool) -> int:
    """Show what `apply` would change, and why.

    The exit code is 0 if there are no changes, 6 if there are changes, and 5 if machines could not be examined.
    """
    from pymachine.cli.fleet_output import plan_document, show_plan
    from pymachine.fleet.apply.selectors import limited
    from pymachine.fleet.plan import Batch

    with opened(app, files, limit) as (work, names):
        made = work.plan(Batch(among=names), width=parallel)
        made = limited(made, names) if limit else made
    app.settle()
    dump(plan_document(made)) if as_json else show_plan(made)
    if not made.changes_nothing:
        return CHANGES
    return UNSEEN if made.unseen else 0
