"""``destroy``: remove a fleet."""

from __future__ import annotations

from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.fleet_options import opened, parse_failures
from pymachine.cli.fleet_run import RUN_OPTIONS, agreed, carry_out, show
from pymachine.cli.options import command, with_options


@command()
@with_options(RUN_OPTIONS)
@click.pass_obj
def destroy(app: App, /, files: tuple[str, ...], limit: tuple[str, ...], **given: Any) -> None:
    """Remove a fleet: its stacks, its workers, then its managers.

    Hosts that existed before stay, without what pymachine added to them.
    """
    from pymachine.cli.fleet_output import raise_for
    from pymachine.cli.fleet_progress import choose_teller
    from pymachine.cli.fleet_summary import concluded

    parse_failures(given["max_failures"], 1)  # a wrong one is told before anything else
    teller = choose_teller(app, as_json=given["as_json"])
    with (
        concluded("destroy", teller) as course,
        opened(app, files, limit, purpose="destroy", teller=teller) as (work, names),
    ):
        course.fleet = work.fleet.name
        course.plan = made = work.plan_removal(names)
        show(made, given)
        if made.chains and agreed(app, course, given):
            course.accounts.append(carry_out(work, made, given, teller))
            _forget(app, work.fleet.name)
        app.settle()
        raise_for(course.accounts[-1] if course.accounts else None, made, "destroy")


def _forget(app: App, fleet: str) -> None:
    """Delete the notes of a fleet that has no machine left."""
    from pymachine.fleet.apply.state import forget
    from pymachine.fleet.apply.survey import records_of

    if not any(machine.fleet == fleet for machine in records_of(app.tools).values()):
        forget(fleet, app.store)
