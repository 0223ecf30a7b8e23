"""Runs commands on many machines in parallel and prints their output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.options import SECONDS
from pymachine.cli.output import dump, note, say
from pymachine.errors import PymachineError, SeveralFailed, UsageFault
from pymachine.events import Reporter, surveying
from pymachine.model import Machine

if TYPE_CHECKING:
    from pymachine.fleet.apply.fleet import FleetWork
    from pymachine.fleet.apply.remote_commands import CommandOutput

DEADLINE_SECONDS = 600.0
DEADLINE = click.option(
    "--timeout", type=SECONDS, default=DEADLINE_SECONDS, show_default=True, metavar="SECONDS",
    help="Time limit for each machine.",
)  # fmt: skip
WORDS = click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- WORD...")


def words_of(words: Sequence[str], usage: str) -> list[str]:
    """Return the words of the command. Raises ``UsageFault`` with the ``usage`` if there are none."""
    if not words:
        raise UsageFault("no command given", hint=f"pymachine {usage}")
    return list(words)


def recorded(work: FleetWork, names: frozenset[str]) -> list[Machine]:
    """Return the records of the selected machines; print which ones are not created yet."""
    from pymachine.fleet.apply.survey import records_of

    records = records_of(work.tools)
    selected = [spec.name for spec in work.fleet.machines if spec.name in names]
    missing = [name for name in selected if name not in records]
    if missing:
        note(f"note: not created yet: {', '.join(missing)}")
    return [records[name] for name in selected if name in records]


def ask_all(
    machines: Sequence[Machine], ask: Callable[[Machine], CommandOutput], given: Mapping[str, Any], reporter: Reporter
) -> tuple[dict[str, CommandOutput], dict[str, PymachineError]]:
    """Run it on the machines, --parallel at a time; return the answers and the errors by machine."""
    from pymachine.parallel import spread

    said: dict[str, CommandOutput] = {}
    failures: dict[str, PymachineError] = {}
    with surveying(reporter, "waiting for machines", [machine.name for machine in machines]) as seen:
        for machine, answer in spread(machines, ask, given["parallel"]):
            seen(machine.name)
            if isinstance(answer, PymachineError):
                failures[machine.name] = answer
            else:
                said[machine.name] = answer
    order = [machine.name for machine in machines]
    return {name: said[name] for name in order if name in said}, failures


def tell_all(
    app: App, said: Mapping[str, CommandOutput], failures: dict[str, PymachineError], *, as_json: bool
) -> None:
    """Print the answers, with equal ones grouped. Raises ``SeveralFailed`` if it failed on any machine."""
    from pymachine.fleet.apply.remote_commands import grouped

    app.settle()
    if as_json:
        answers = [{"machine": name, "code": answer.code, "output": answer.text} for name, answer in said.items()]
        dump([*answers, *({"machine": n, "code": None, "error": e.message} for n, e in failures.items())])
    else:
        for names, answer in grouped(said):
            code = f" (exit code {answer.code})" if answer.code else ""
            say(f"== {', '.join(names)}{code}")
            if answer.text:
                say(answer.text)
    ended = {name: PymachineError(f"it exited with code {a.code}") for name, a in said.items() if a.code}
    if failures or ended:
        raise SeveralFailed({**ended, **failures})
