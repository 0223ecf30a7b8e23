"""``doctor``: examine this computer and machines."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing
from pymachine.cli.options import JSON, NAMES, SECONDS, command
from pymachine.cli.output import columns, dump, note
from pymachine.cli.table import Layout
from pymachine.doctor import Diagnosis, computer_examinations, examine, machine_examinations
from pymachine.documents import to_document
from pymachine.driver import Health
from pymachine.errors import PymachineError, SeveralFailed
from pymachine.fleet.apply.subprocesses import Computer
from pymachine.model import Machine
from pymachine.store import readable

TIMEOUT = 30.0
HEADERS = ("MACHINE", "CHECK", "RESULT", "DETAIL", "TO DO")
LAYOUT = Layout(below="TO DO")


@command()
@NAMES
@click.option(
    "-t", "--timeout", type=SECONDS, default=TIMEOUT, show_default=True, metavar="SECONDS",
    help="Time limit for all checks together.",
)  # fmt: skip
@JSON
@click.pass_obj
def doctor(app: App, names: tuple[str, ...], timeout: float, as_json: bool) -> int:
    """Examine this computer and machines, and print what mends each fault.

    All machines are examined unless names are given. A check ends as fine, fault or unknown: it could not be asked.
    The exit code is 0 if all is fine, 1 if there is a fault, and 5 if there is none but something could not be asked.

    \b
    Examples:
      pymachine doctor
      pymachine doctor --json web1 | jq '.[] | select(.health == "fault")'
    """
    tools = app.tools
    machines: Sequence[Machine] = (
        [app.store.get(name) for name in existing(app, names)] if names else readable(app.store)
    )
    examinations = [
        *computer_examinations(tools, app.wiring.driver_names(), Computer(app.environ, app.wiring.run), timeout),
        *machine_examinations(machines, tools, timeout),
    ]
    found = examine(examinations, timeout, app.reporter)
    app.settle()
    if as_json:
        dump(to_document(found))
    else:
        columns(HEADERS, [_cells(one) for one in found], LAYOUT)
        note(_summary(found))
    return _code(found)


def _cells(one: Diagnosis) -> tuple[str, ...]:
    return one.machine or "-", one.check, one.health, one.detail, one.mend


def _summary(found: Sequence[Diagnosis]) -> str:
    counts = {health: sum(one.health is health for one in found) for health in Health}
    return f"{counts[Health.FINE]} fine, {counts[Health.FAULT]} at fault, {counts[Health.UNKNOWN]} unknown"


def _code(found: Sequence[Diagnosis]) -> int:
    answers = {one.health for one in found}
    if Health.FAULT in answers:
        return PymachineError.exit_code
    return SeveralFailed.exit_code if Health.UNKNOWN in answers else 0
