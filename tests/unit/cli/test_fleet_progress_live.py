"""The view of a fleet at work: readable at 200 hosts, and the same in lines."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from pymachine.cli.fleet_output import raise_for, show_account
from pymachine.cli.fleet_progress import JsonTeller, PlainTeller
from pymachine.cli.fleet_progress_live import FleetView
from pymachine.errors import EngineError, Interrupted, SeveralFailed
from pymachine.fleet.apply.scheduler import ActionResult, Outcome, RunSummary
from pymachine.fleet.plan import Action, Chain, Plan, Refusal, payloads


def plan(count: int) -> Plan:
    return Plan(
        "shop", tuple(Chain(f"web-{n}", (Action(payloads.Create(), f"web-{n}", ("new",)),)) for n in range(count))
    )


def screen(view: FleetView, console: Console) -> list[str]:
    with console.capture() as capture:
        console.print(view._screen())
    return capture.get().splitlines()


def test_two_hundred_machines_fit_on_a_small_terminal() -> None:
    console = Console(file=io.StringIO(), width=60, height=20, force_terminal=True, color_system=None)
    view = FleetView(console)
    made = plan(200)
    view.planned(made)
    for action in made.actions:
        view.began(action)
        view.started(action.subject, "setting up the engine")
        view.progressed(action.subject, "setting up the engine", "a very long line of progress " * 5)
    first = next(iter(made.actions))
    view.ended(ActionResult(first, Outcome.FAILED, 3.0, EngineError("the disk is full\nand more")))
    view.ended(ActionResult(list(made.actions)[1], Outcome.DONE, 3.0))
    lines = screen(view, console)
    view.close()
    assert len(lines) <= 20
    assert all(len(line) <= 60 for line in lines)
    assert lines[0] == "create 1/200 · failed 1"
    assert "✗ web-0: create: the disk is full" in lines
    assert lines[-1].startswith("  … and ")


def test_the_terminal_is_free_for_a_question() -> None:
    view = FleetView(Console(file=io.StringIO(), force_terminal=True))
    view.planned(plan(1))
    with view.paused():
        during = view._live.is_started
    assert (during, view._live.is_started) == (False, True)
    view.close()
    view.close()


def test_plain_lines_count_down() -> None:
    stream = io.StringIO()
    teller = PlainTeller(stream)
    made = plan(2)
    teller.planned(made)
    first, second = made.actions
    teller.ended(ActionResult(first, Outcome.DONE))
    teller.ended(ActionResult(second, Outcome.SKIPPED, because="create of web-0: failed"))
    assert stream.getvalue().splitlines() == [
        "[1/2] web-0: create: done",
        "[2/2] web-1: create: skipped: create of web-0: failed",
    ]


def test_json_lines_hold_errors_with_their_hints() -> None:
    stream = io.StringIO()
    teller = JsonTeller(stream)
    (action,) = plan(1).actions
    teller.ended(ActionResult(action, Outcome.FAILED, 1.25, EngineError("it does not run", hint="look at its log")))
    event = json.loads(stream.getvalue())
    assert (event["event"], event["machine"], event["action"]) == ("ended", "web-0", "create")
    assert (event["outcome"], event["error"], event["hint"]) == ("failed", "it does not run", "look at its log")


def account(*outcomes: Outcome) -> RunSummary:
    made = plan(len(outcomes))
    found = RunSummary(made)
    for action, outcome in zip(made.actions, outcomes, strict=True):
        error = EngineError("it does not run", hint="look") if outcome is Outcome.FAILED else None
        found.results[action.id] = ActionResult(action, outcome, 2.0 if outcome is not Outcome.LEFT else 0.0, error)
    return found


def test_the_table_says_what_became_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    show_account(account(Outcome.DONE, Outcome.FAILED, Outcome.SKIPPED, Outcome.LEFT))
    assert [line.split(None, 1) for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["web-0", "2 s"],
        ["web-1", "FAILED, 2 s"],
        ["web-2", "skipped"],
        ["web-3", "not started"],
    ]


def test_all_failures_are_raised_together_with_those_that_were_never_seen() -> None:
    found = account(Outcome.DONE, Outcome.FAILED)
    made = Plan("shop", found.plan.chains, (Refusal("db", "no room", "make some"),), {"cache": "no route"})
    with pytest.raises(SeveralFailed) as raised:
        raise_for(found, made, "apply")
    assert {name: error.hint for name, error in raised.value.failures.items()} == {
        "cache": None, "db": "make some", "web-1": "look",
    }  # fmt: skip
    assert raised.value.exit_code == 5


def test_an_interruption_says_what_is_left() -> None:
    found = account(Outcome.DONE, Outcome.LEFT)
    found.interrupted = True
    with pytest.raises(Interrupted, match=": web-1") as raised:
        raise_for(found, found.plan, "apply")
    assert "`pymachine apply`" in (raised.value.hint or "")


def test_where_all_is_done_nothing_is_raised() -> None:
    found = account(Outcome.DONE)
    raise_for(found, found.plan, "apply")
