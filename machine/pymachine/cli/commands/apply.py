"""``apply``: make a fleet match its inventory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.fleet_options import opened, parse_batch, parse_failures
from pymachine.cli.fleet_run import RUN_OPTIONS, agreed, carry_out, show
from pymachine.cli.options import command, with_options
from pymachine.cli.output import note
from pymachine.cli.parallel import after

if TYPE_CHECKING:
    from pymachine.cli.fleet_summary import Course
    from pymachine.fleet.apply.fleet import FleetWork
    from pymachine.fleet.apply.scheduler import RunSummary
    from pymachine.fleet.plan import Plan

ROUNDS = 3  # what was off or locked shows only once it is on: then there is more to do
BATCH = click.option(
    "--batch", metavar="N|%", default="1", show_default=True,
    help="Number of Swarm workers to drain at a time while their engines restart; % of those that restart.",
)  # fmt: skip
WAIT = click.option(
    "--wait", type=click.IntRange(0), metavar="SECONDS",
    help="Time to wait until the services of a stack run, overriding the stack's own; 0 does not wait.",
)  # fmt: skip


@command()
@with_options(RUN_OPTIONS)
@BATCH
@WAIT
@click.option("--only-failed", is_flag=True, help="Only what the last apply did not finish.")
@click.option("--replace", is_flag=True, help="Recreate machines that cannot be changed in place (destroys data).")
@click.pass_obj
def apply(app: App, /, files: tuple[str, ...], limit: tuple[str, ...], **given: Any) -> None:
    """Make a fleet match its inventory: machines, their Swarm, its stacks.

    Shows the plan and asks. If a machine fails, only what depends on it is skipped; run the command again to
    continue.
    """
    from pymachine.cli.fleet_output import raise_for
    from pymachine.cli.fleet_progress import choose_teller
    from pymachine.cli.fleet_summary import concluded

    parse_failures(given["max_failures"], 1)  # a wrong one is told before anything else
    parse_batch(given["batch"])
    teller = choose_teller(app, as_json=given["as_json"])
    with (
        concluded("apply", teller) as course,
        opened(app, files, limit, purpose="apply", teller=teller) as (work, names),
    ):
        course.fleet = work.fleet.name
        names = names & _failed(work) if given["only_failed"] else names
        for _ in range(ROUNDS):
            with after(_done_in(course.accounts)):
                made = _planned(work, names, limit, given, course)
            if not made.chains:
                work.renew_note()
                break
            if not agreed(app, course, given):
                break
            account = carry_out(work, made, given, teller)
            course.accounts.append(account)
            if account.unfinished or not made.partial:
                break
        app.settle()
        raise_for(course.accounts[-1] if course.accounts else None, made, "apply")


def _done_in(accounts: Sequence[RunSummary]) -> list[str]:
    """Return the actions that earlier rounds finished."""
    from pymachine.fleet.apply.scheduler import Outcome

    done = [result.action for account in accounts for result in account.having(Outcome.DONE)]
    return [f"{action.title} of {action.subject}" for action in done]


def _failed(work: FleetWork) -> frozenset[str]:
    """Return what the last apply did not finish."""
    from pymachine.fleet.apply.state import failed_of

    failed = failed_of(work.fleet.name, work.tools.store)
    if not failed:
        note("note: the last apply left nothing to do")
    return frozenset(failed)


def _planned(
    work: FleetWork, names: frozenset[str], limit: Sequence[str], given: Mapping[str, Any], course: Course
) -> Plan:
    from pymachine.fleet.apply.fleet import refuse
    from pymachine.fleet.apply.selectors import limited

    made = work.plan(parse_batch(given["batch"], names))
    if limit or given["only_failed"]:
        made = limited(made, names)
    course.plan = made
    show(made, given)
    refuse(made, replace=given["replace"])
    return made
