"""``drift``: show how hosts differ from the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pymachine.cli.app import App
from pymachine.cli.fleet_options import CHANGES, FILES, LIMIT, UNSEEN, WIDE, opened
from pymachine.cli.options import JSON, command
from pymachine.cli.output import columns, dump, say

if TYPE_CHECKING:
    from pymachine.fleet.apply.drift import Drift


@command()
@FILES
@LIMIT
@WIDE
@JSON
@click.pass_obj
def drift(app: App, files: tuple[str, ...], limit: tuple[str, ...], parallel: int, as_json: bool) -> int:
    """Show how hosts differ from the inventory: engines, their options, certificates, Swarm membership.

    The exit code is 0 if there are no differences, 6 if there are, and 5 if machines could not be examined.
    """
    from pymachine.documents import to_document

    found = _differences(app, files, limit, parallel)
    app.settle()
    if as_json:
        dump(to_document(found))
    elif found:
        columns(("MACHINE", "PART", "DIFFERENCE"), [(d.machine, d.part, d.detail) for d in found])
    else:
        say("nothing differs from the inventory")
    if any(not difference.unseen for difference in found):
        return CHANGES
    return UNSEEN if found else 0


def _differences(app: App, files: tuple[str, ...], limit: tuple[str, ...], parallel: int) -> list[Drift]:
    from pymachine.fleet.apply.drift import ask_all, drift
    from pymachine.fleet.apply.survey import records_of

    with opened(app, files, limit) as (work, names):
        made = work.plan(width=parallel)
        records = records_of(app.tools)
        wanted = [records[name] for name in names if name in records]
        answers = ask_all(wanted, app.tools, parallel)
        found = drift(work.fleet, records, work.known, made, answers)
        of_fleet = {spec.name for spec in work.fleet.machines}
        return [d for d in found if d.machine in names or (d.machine not in of_fleet and not limit)]
