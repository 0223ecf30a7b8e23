"""``apply`` and ``destroy``: a fleet brought to what its inventory says, or taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.fleet_options import FILES, LIMIT, PARALLEL, Opened, opened, parse_batch, parse_failures
from pymachine.cli.options import FORCE_UNLOCK, YES, command, with_options
from pymachine.cli.output import note, say
from pymachine.cli.parallel import after
from pymachine.errors import CheckFailed, UsageFault

if TYPE_CHECKING:
    from pymachine.cli.fleet_summary import Course
    from pymachine.fleet.apply.scheduler import RunSummary
    from pymachine.fleet.plan import Plan

ROUNDS = 3  # what was off or locked shows only once it is on: then there is more to do
MAX_FAILURES = click.option(
    "--max-failures", metavar="N|%", help="Start no further machine once more than this number have failed."
)
BATCH = click.option(
    "--batch", metavar="N|%", default="1", show_default=True,
    help="Number of Swarm workers to drain at a time while their engines restart; % of those that restart.",
)  # fmt: skip
WAIT = click.option(
    "--wait", type=click.IntRange(0), metavar="SECONDS",
    help="Time to wait until the services of a stack run, overriding the stack's own; 0 does not wait.",
)  # fmt: skip
EVENTS = click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
RUNNING = (FILES, LIMIT, PARALLEL, MAX_FAILURES, YES, EVENTS, FORCE_UNLOCK)


@command()
@with_options(RUNNING)
@BATCH
@WAIT
@click.option("--only-failed", is_flag=True, help="Only what the last apply did not finish.")
@click.option("--replace", is_flag=True, help="Recreate machines that cannot be changed in place (destroys data).")
@click.pass_obj
def apply(app: App, /, files: tuple[str, ...], limit: tuple[str, ...], **given: Any) -> None:
    """Make a fleet match its inventory: machines, their Swarm, its stacks.

    Shows its plan and asks. One machine that fails stops only what needs it; the same command continues.
    """
    from pymachine.cli.fleet_output import raise_for
    from pymachine.cli.fleet_progress import choose_teller
    from pymachine.cli.fleet_summary import concluded

    parse_failures(given["max_failures"], 1)  # a wrong one is told before anything else
    parse_batch(given["batch"])
    teller = choose_teller(app, as_json=given["as_json"])
    with (
        concluded("apply", teller) as course,
        opened(app, files, limit, purpose="apply", teller=teller) as fleet,
    ):
        course.fleet = fleet.work.fleet.name
        names = _failed_only(fleet) if given["only_failed"] else fleet.names
        for _ in range(ROUNDS):
            with after(_done_in(course.accounts)):
                made = _planned(fleet, names, limit, given, course)
            if not made.chains or not _agreed(app, course, given):
                break
            account = _carried_out(fleet, made, given)
            course.accounts.append(account)
            if account.unfinished or not made.partial:
                break
        app.settle()
        raise_for(course.accounts[-1] if course.accounts else None, made, "apply")


@command()
@with_options(RUNNING)
@click.pass_obj
def destroy(app: App, /, files: tuple[str, ...], limit: tuple[str, ...], **given: Any) -> None:
    """Remove a fleet: its stacks, its workers, then its managers.

    Hosts that were there before stay, without what pymachine put on them.
    """
    from pymachine.cli.fleet_output import raise_for
    from pymachine.cli.fleet_progress import choose_teller
    from pymachine.cli.fleet_summary import concluded

    parse_failures(given["max_failures"], 1)  # a wrong one is told before anything else
    teller = choose_teller(app, as_json=given["as_json"])
    with (
        concluded("destroy", teller) as course,
        opened(app, files, limit, purpose="destroy", teller=teller) as fleet,
    ):
        course.fleet = fleet.work.fleet.name
        course.plan = made = fleet.work.plan_removal(fleet.names)
        _show(made, given)
        if made.chains and _agreed(app, course, given):
            course.accounts.append(_carried_out(fleet, made, given))
            _forget(app, fleet)
        app.settle()
        raise_for(course.accounts[-1] if course.accounts else None, made, "destroy")


def _done_in(accounts: Sequence[RunSummary]) -> list[str]:
    """Return what earlier rounds brought to its end."""
    from pymachine.fleet.apply.scheduler import Outcome

    done = [result.action for account in accounts for result in account.having(Outcome.DONE)]
    return [f"{action.title} of {action.subject}" for action in done]


def _failed_only(fleet: Opened) -> frozenset[str]:
    from pymachine.fleet.apply.state import failed_of

    failed = failed_of(fleet.work.fleet.name, fleet.work.tools.store)
    if not failed:
        note("note: the last apply left nothing to do")
    return fleet.names & set(failed)


def _planned(
    fleet: Opened, names: frozenset[str], limit: Sequence[str], given: Mapping[str, Any], course: Course
) -> Plan:
    from pymachine.fleet.apply.fleet import refuse
    from pymachine.fleet.apply.selectors import limited

    made = fleet.work.plan(batch=parse_batch(given["batch"], names))
    if limit or given["only_failed"]:
        made = limited(made, names)
    course.plan = made
    _show(made, given)
    refuse(made, replace=given["replace"])
    return made


def _show(made: Plan, given: Mapping[str, Any]) -> None:
    if given["as_json"]:
        return
    from pymachine.cli.fleet_output import show_plan

    show_plan(made)


def _agreed(app: App, course: Course, given: Mapping[str, Any]) -> bool:
    if given["yes"]:
        return True
    verb = course.command
    try:
        agreed = app.asker.confirm(f"{verb.capitalize()} this?", instead=f"give -y: pymachine {verb} -y")
    except UsageFault as error:
        raise CheckFailed(error.message, hint=error.hint) from None
    if not agreed:
        course.declined = True
        note("nothing was changed")
    return agreed


def _carried_out(fleet: Opened, made: Plan, given: Mapping[str, Any]) -> RunSummary:
    from pymachine.cli.fleet_output import show_account
    from pymachine.fleet.apply.scheduler import Bounds

    limit = parse_failures(given["max_failures"], len(made.chains))
    fleet.teller.planned(made)
    account = fleet.work.apply(made, Bounds(given["parallel"], limit, given.get("wait")), fleet.teller)
    close = getattr(fleet.teller, "close", None)
    if close is not None:
        close()
    if not given["as_json"]:
        show_account(account)
        if account.unfinished:
            say(f"logs: {fleet.work.logs.folder}")
    return account


def _forget(app: App, fleet: Opened) -> None:
    """Forget a fleet that has no machine any more."""
    from pymachine.fleet.apply.state import Notebook
    from pymachine.fleet.apply.survey import records_of

    name = fleet.work.fleet.name
    if not any(machine.fleet == name for machine in records_of(app.tools).values()):
        Notebook(name, app.store).forget()
