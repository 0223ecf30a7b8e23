"""``ls``: list all machines, which are asked in parallel within one time limit."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.machine_filters import MachineFilters
from pymachine.cli.machine_rows import TIMEOUT, MachineRow, print_formatted, seen_rows, tell_of_broken, unseen
from pymachine.cli.options import FORMAT, JSON, SECONDS, command
from pymachine.cli.output import columns, dump, say
from pymachine.cli.table import Layout
from pymachine.documents import to_document
from pymachine.model import Machine

HEADERS = ("NAME", "ACTIVE", "DRIVER", "STATE", "URL", "DOCKER", "ERRORS")
LAYOUT = Layout(("ACTIVE", "DRIVER", "DOCKER"), below="ERRORS")


@command()
@click.option("-q", "--quiet", is_flag=True, help="Print names only.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Filter by driver, state, name (a pattern), label or swarm.",
)
@click.option(
    "-t", "--timeout", type=SECONDS, default=TIMEOUT, show_default=True, metavar="SECONDS",
    help="Time limit for all machines together.",
)  # fmt: skip
@FORMAT
@JSON
@click.pass_obj
def ls(app: App, quiet: bool, filters: tuple[str, ...], timeout: float, template: str | None, as_json: bool) -> None:
    """List the machines and their states."""
    everything = app.store.records()
    wanted = MachineFilters(filters, everything)
    wanted.check_drivers({one.driver for one in everything if isinstance(one, Machine)}, app.wiring.driver_names)
    records = [record for record in everything if wanted.may_accept(record)]
    tell_of_broken([record for record in everything if record not in records])
    if quiet and not wanted.need_state:
        rows = [unseen(record) for record in records]
    else:
        rows = [row for row in seen_rows(app, records, timeout) if wanted.accept(row.state)]
    if as_json:
        dump([to_document(row) for row in rows])
    elif template is not None:
        print_formatted(rows, records, template)
    elif quiet:
        for row in rows:
            say(row.name)
    else:
        columns(HEADERS, [_cells(row) for row in rows], LAYOUT)


def _cells(row: MachineRow) -> tuple[str, ...]:
    return (
        row.name,
        "*" if row.active else "-",
        row.driver,
        row.state,
        row.url or "",
        row.engine or "",
        "; ".join(row.errors),
    )
