"""Output of a fleet's plan and of its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pymachine.cli.output import columns, note, say
from pymachine.documents import to_document
from pymachine.engine.effects import IN_WORDS, Effect, restarts_engine
from pymachine.errors import CheckFailed, Interrupted, PymachineError, SeveralFailed, Unreachable
from pymachine.fleet.apply.scheduler import ActionResult, Outcome, RunSummary
from pymachine.fleet.plan import Action, Chain, Plan
from pymachine.printable import one_line

_MOST = 3  # names in an aside
_DELETES = {Effect.REPLACE_HOST, Effect.DELETE_HOST}  # everything goes, whatever it is
_NAMED = (Effect.OPEN_PORT, Effect.STOP_CONTAINERS)  # the first interrupts nothing, the second lists all names


def show_plan(plan: Plan) -> None:
    """Print the planned actions per machine with reasons, then what cannot be done."""
    if plan.chains:
        say(f"fleet {plan.fleet}: {_summary(plan)}")
        width = max(len(chain.subject) for chain in plan.chains)
        subjects = {action.id: action.subject for action in plan.actions}
        for chain in plan.chains:
            _show_chain(chain, width, subjects)
    elif not plan.refusals and not plan.unseen:
        say(f"fleet {plan.fleet} is as its inventory says: nothing to do")
    for name, reason in plan.unseen.items():
        note(f"warning: {name} could not be examined: {reason}")
    for refusal in plan.refusals:
        note(f"warning: {refusal.subject}: {refusal.message}")
    for text in plan.notes:
        note(f"note: {text}")


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the plan as `plan --json` prints it."""
    return {
        "fleet": plan.fleet,
        "changes": [_action_document(chain, place) for chain in plan.chains for place in range(len(chain.actions))],
        "refusals": to_document(plan.refusals),
        "unseen": dict(plan.unseen),
        "notes": list(plan.notes),
        "partial": plan.partial,
    }


def _action_document(chain: Chain, place: int) -> dict[str, Any]:
    action = chain.actions[place]
    before = [chain.actions[place - 1].id] if place else []
    return {
        "id": action.id,
        "subject": chain.subject,
        "action": action.kind,
        "reasons": list(action.reasons),
        "effects": list(action.effects),
        "restarts_engine": restarts_engine(action.effects),
        "drained": action.drains,
        "differences": to_document(action.differences),
        "interruption": to_document(action.interruption),
        "needs": [*before, *action.needs],
        "waits": list(action.waits),
    }


def _summary(plan: Plan) -> str:
    counts = Counter(action.title for action in plan.actions)
    return ", ".join(f"{title} {count}" for title, count in counts.items())


def _show_chain(chain: Chain, width: int, subjects: Mapping[str, str]) -> None:
    label = chain.subject
    for action in chain.actions:
        line = f"  {label.ljust(width)}   {action.title}: {'; '.join(action.reasons)}".rstrip(": ")
        aside = "; ".join(_consequences(action, subjects))
        say(one_line(f"{line} ({aside})" if aside else line))
        label = ""


def _consequences(action: Action, subjects: Mapping[str, str]) -> list[str]:
    """Describe the effects of an action on running workloads, and which actions come before it."""
    told = [IN_WORDS[effect] for effect in action.effects if effect not in _NAMED]
    told += _interruption(action)
    before = dict.fromkeys(subjects.get(name, name) for name in (*action.needs, *action.waits))
    others = [name for name in before if name != action.subject]
    more = f" and {len(others) - _MOST} more" if len(others) > _MOST else ""
    return [*told, *([f"after {', '.join(others[:_MOST])}{more}"] if others else [])]


def _interruption(action: Action) -> list[str]:
    """List what stops, and what moves elsewhere meanwhile."""
    stops, told = action.interruption, []
    if stops.containers is None and not _DELETES & set(action.effects):
        told.append("which containers stop is unknown")
    elif stops.containers:
        told.append(f"stops {_listed('container', stops.containers)}")
    elif Effect.STOP_CONTAINERS in action.effects and not (stops.services or stops.moved):
        told.append(IN_WORDS[Effect.STOP_CONTAINERS])
    if stops.services:
        told.append(f"stops {_listed('service', stops.services)}")
    if action.drains:
        moved = f", tasks of {_listed('service', stops.moved)} move" if stops.moved else ""
        told.append(f"drained before{moved}")
    return told


def _listed(noun: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{noun}{'s' * (len(names) > 1)} {', '.join(names[:_MOST])}{more}"


def show_account(account: RunSummary, more: Sequence[ActionResult] = ()) -> None:
    """Print one table of machines and actions: seconds, or the outcome."""
    results = [*more, *account]
    titles = list(dict.fromkeys(result.action.title for result in results))
    rows: dict[str, dict[str, str]] = {}
    for result in results:
        rows.setdefault(result.action.subject, {})[result.action.title] = _cell(result)
    if rows:
        columns(
            ("", *(title.upper() for title in titles)),
            [(subject, *(cells.get(title, "-") for title in titles)) for subject, cells in rows.items()],
        )


def _cell(result: ActionResult) -> str:
    seconds = f"{result.seconds:.0f} s"
    return {
        Outcome.DONE: seconds,
        Outcome.FAILED: f"FAILED, {seconds}",
        Outcome.SKIPPED: "skipped",
        Outcome.STOPPED: f"stopped, {seconds}",
        Outcome.LEFT: "not started",
    }[result.outcome]


def raise_for(account: RunSummary | None, plan: Plan, command: str) -> None:
    """Raise ``Interrupted`` or ``SeveralFailed`` with everything that is left to do, if anything."""
    left = [result.action for result in account.having(Outcome.LEFT)] if account else []
    if account is not None and account.interrupted:
        raise Interrupted(f"interrupted; {_left_to_do(account)}", hint=f"run `pymachine {command}` again to continue")
    failures = _failures(account, plan)
    if not failures and left:
        failures = {left[0].subject: PymachineError("it was not started")}
    if failures:
        raise SeveralFailed(failures)


def _left_to_do(account: RunSummary) -> str:
    """Return what an interrupted run left undone, grouped by outcome; each subject once."""
    told: dict[str, list[str]] = {}
    seen: set[str] = set()
    for outcome, words in ((Outcome.FAILED, "failed"), (Outcome.STOPPED, "stopped"), (Outcome.LEFT, "not started")):
        results = [result for result in account.having(outcome) if result.action.subject not in seen]
        seen.update(result.action.subject for result in results)
        if results:
            told[words] = list(dict.fromkeys(map(_named, results)))
    return "; ".join(f"{words}: {', '.join(names)}" for words, names in told.items()) or "nothing is left to do"


def _named(result: ActionResult) -> str:
    why = result.because if result.outcome is Outcome.STOPPED else ""
    return f"{result.action.subject} ({why})" if why else result.action.subject


def _failures(account: RunSummary | None, plan: Plan) -> dict[str, PymachineError]:
    found: dict[str, PymachineError] = {name: Unreachable(reason) for name, reason in plan.unseen.items()}
    found.update({r.subject: CheckFailed(r.message, hint=r.hint or None) for r in plan.refusals})
    for result in account.having(Outcome.FAILED) if account else ():
        assert result.error is not None
        text = f"{result.action.title}: {result.error.message}"
        found[result.action.subject] = PymachineError(text, hint=result.error.hint)
    return found
