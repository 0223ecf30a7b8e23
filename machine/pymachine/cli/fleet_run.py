"""A fleet's plan in ``apply`` and ``destroy``: shown, confirmed, executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.fleet_options import FILES, LIMIT, PARALLEL, parse_failures
from pymachine.cli.options import FORCE_UNLOCK, YES
from pymachine.cli.output import note, say
from pymachine.errors import CheckFailed, UsageFault

if TYPE_CHECKING:
    from pymachine.cli.fleet_progress import FleetTeller
    from pymachine.cli.fleet_summary import Course
    from pymachine.fleet.apply.fleet import FleetWork
    from pymachine.fleet.apply.scheduler import RunSummary
    from pymachine.fleet.plan import Plan

MAX_FAILURES = click.option(
    "--max-failures", metavar="N|%", help="Start no further machine once more than this number have failed."
)
EVENTS = click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
RUN_OPTIONS = (FILES, LIMIT, PARALLEL, MAX_FAILURES, YES, EVENTS, FORCE_UNLOCK)


def show(made: Plan, given: Mapping[str, Any]) -> None:
    """Print a plan, unless events are printed."""
    if given["as_json"]:
        return
    from pymachine.cli.fleet_output import show_plan

    show_plan(made)


def agreed(app: App, course: Course, given: Mapping[str, Any]) -> bool:
    """Return whether the plan may be executed. Raises ``CheckFailed`` if there is no terminal to ask on."""
    if given["yes"]:
        return True
    verb = course.command
    try:
        answer = app.asker.confirm(f"{verb.capitalize()} this?", instead=f"give -y: pymachine {verb} -y")
    except UsageFault as error:
        raise CheckFailed(error.message, hint=error.hint) from None
    if not answer:
        course.declined = True
        note("nothing was changed")
    return answer


def carry_out(work: FleetWork, made: Plan, given: Mapping[str, Any], teller: FleetTeller) -> RunSummary:
    """Execute a plan and print its results."""
    from pymachine.cli.fleet_output import show_account
    from pymachine.fleet.apply.scheduler import Bounds

    limit = parse_failures(given["max_failures"], len(made.chains))
    teller.planned(made)
    account = work.apply(made, Bounds(given["parallel"], limit, given.get("wait")), teller)
    close = getattr(teller, "close", None)
    if close is not None:
        close()
    if not given["as_json"]:
        show_account(account)
        if account.unfinished:
            say(f"logs: {work.logs.folder}")
    return account
