"""``ls``: list all machines with docker-machine's columns, filters and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import click

from pymachine.cli.app import App
from pymachine.cli.compat.states import their_state
from pymachine.cli.compat.swarm_column import swarm_column
from pymachine.cli.machine_filters import MachineFilters
from pymachine.cli.machine_rows import TIMEOUT, MachineRow, print_formatted, seen_rows, unseen
from pymachine.cli.options import FORMAT, SECONDS, command
from pymachine.cli.output import columns, say
from pymachine.docker_machine.view import their_name
from pymachine.model import Machine
from pymachine.store import Broken

HEADERS = ("NAME", "ACTIVE", "DRIVER", "STATE", "URL", "SWARM", "DOCKER", "ERRORS")


@command()
@click.option("-q", "--quiet", is_flag=True, help="Print names only.")
@click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter by driver, state, name, label or swarm."
)
@click.option(
    "-t", "--timeout", type=SECONDS, default=TIMEOUT, show_default=True, metavar="SECONDS",
    help="Time limit for all machines together.",
)  # fmt: skip
@FORMAT
@click.pass_obj
def ls(app: App, quiet: bool, filters: tuple[str, ...], timeout: float, template: str | None) -> None:
    """List the machines and their states."""
    everything = app.store.records()
    wanted = MachineFilters(filters, everything)
    # What cannot be read is listed whatever is filtered by, but for names alone.
    records = [r for r in everything if isinstance(r, Broken) or wanted.may_accept(r)]
    if quiet and not wanted.need_state:
        rows = [unseen(record) for record in records if not isinstance(record, Broken)]
    else:
        rows = _accepted(app, records, wanted, timeout, quiet=quiet)
    if quiet:
        for row in rows:
            say(row.name)
    elif template is not None:
        print_formatted(rows, records, template)
    else:
        swarms = swarm_column([record for record in everything if isinstance(record, Machine)])
        columns(HEADERS, [_cells(row, swarms) for row in rows])


def _accepted(
    app: App, records: Sequence[Machine | Broken], wanted: MachineFilters, timeout: float, *, quiet: bool
) -> list[MachineRow]:
    broken = {record.name for record in records if isinstance(record, Broken)}
    rows = [_theirs(row) for row in seen_rows(app, records, timeout)]
    return [
        row
        for row in rows
        if (row.name in broken and not quiet) or (row.name not in broken and wanted.accept(row.state))
    ]


def _theirs(row: MachineRow) -> MachineRow:
    """Return the row with docker-machine's words for driver and state."""
    driver = "not found" if row.driver == "?" else their_name(row.driver)
    return replace(row, driver=driver, state=their_state(row.state))


def _cells(row: MachineRow, swarms: Mapping[str, str]) -> tuple[str, ...]:
    engine = f"v{row.engine}" if row.engine else "Unknown"
    active = "*" if row.active else "-"
    return (
        row.name,
        active,
        row.driver,
        row.state,
        row.url or "",
        swarms.get(row.name, ""),
        engine,
        "; ".join(row.errors),
    )
