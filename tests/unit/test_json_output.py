"""JSON of the command line: one version in one place, and an event at the end of every apply."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path
from typing import Any

import pytest

from pymachine.cli.fleet_progress import JsonTeller
from pymachine.cli.fleet_summary import concluded
from pymachine.cli.output import SCHEMA_VERSION, dump
from pymachine.errors import CheckFailed, Interrupted, PymachineError, SeveralFailed
from pymachine.fleet.apply.scheduler import ActionResult, Outcome, RunSummary
from pymachine.fleet.plan import Action, Chain, Plan, payloads

CLI = Path(__file__).parents[2] / "machine/pymachine/cli"


def _summary(told: io.StringIO) -> dict[str, object]:
    last = json.loads(told.getvalue().splitlines()[-1])
    assert (last["event"], last["schema_version"]) == ("summary", SCHEMA_VERSION)
    return dict(last)


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (CheckFailed("no"), "refused", 3),
        (SeveralFailed({"a": PymachineError("broken")}), "failed", 5),
        (Interrupted("stop"), "interrupted", 130),
        (KeyboardInterrupt(), "interrupted", 130),
        (ZeroDivisionError(), "failed", 1),
    ],
)
def test_a_command_that_fails_ends_with_a_summary(error: BaseException, outcome: str, code: int) -> None:
    told = io.StringIO()
    with pytest.raises(type(error)), concluded("apply", JsonTeller(told)):
        raise error
    summary = _summary(told)
    assert (summary["outcome"], summary["exit_code"]) == (outcome, code)


def test_what_was_done_is_counted_over_all_rounds() -> None:
    told = io.StringIO()
    made = Plan("shop", tuple(Chain(name, (Action(payloads.Create(), name),)) for name in ("a", "b")))
    results = {
        action.id: ActionResult(action, outcome)
        for action, outcome in zip(made.actions, (Outcome.DONE, Outcome.FAILED), strict=True)
    }
    with concluded("apply", JsonTeller(told)) as course:
        course.plan = made
        course.accounts += [RunSummary(made, results), RunSummary(made, results)]
    summary = _summary(told)
    assert (summary["done"], summary["failed"], summary["left"]) == (2, 2, 0)


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}, {"a": 2}], [], ["word"]])
def test_objects_carry_the_version_and_lists_stay_lists(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    dump(value)
    found = json.loads(capsys.readouterr().out)
    assert type(found) is type(value)
    objects = [found] if isinstance(found, dict) else [one for one in found if isinstance(one, dict)]
    assert all(one["schema_version"] == SCHEMA_VERSION for one in objects)


def test_json_is_written_in_one_place() -> None:
    """Whoever writes JSON past ``output`` forgets the version, and what a terminal would obey."""
    calls = {
        path.name
        for path in CLI.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("dumps", "dump")
        and getattr(node.value, "id", "") == "json"
    }
    assert calls == {"output.py"}
