"""``ls``: list all machines, which are asked in parallel within one time limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import active_machine, stopped, unready, url_or_none
from pymachine.cli.machine_filters import MachineFilters
from pymachine.cli.options import FORMAT, JSON, SECONDS, command
from pymachine.cli.output import columns, dump, note, say
from pymachine.cli.table import Layout
from pymachine.documents import to_document
from pymachine.errors import PymachineError
from pymachine.model import Machine, Phase, State
from pymachine.store import Broken, Holder

TIMEOUT = 10.0
EXPIRY_WARNING = 30  # days
HEADERS = ("NAME", "ACTIVE", "DRIVER", "STATE", "URL", "DOCKER", "ERRORS")
LAYOUT = Layout(("ACTIVE", "DRIVER", "DOCKER"), below="ERRORS")


@dataclass(frozen=True, slots=True)
class MachineRow:
    """One machine in the list; ``errors`` are sentences, ``seconds`` is the time until it answered."""

    name: str
    active: bool = False
    driver: str = ""
    state: str = ""
    url: str | None = None
    engine: str | None = None
    phase: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    certificates_end: str | None = None
    holder: Holder | None = None
    errors: tuple[str, ...] = ()
    seconds: float | None = None


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
    _tell_of_broken([record for record in everything if record not in records])
    if quiet and not wanted.need_state:
        rows = [_unseen(record) for record in records]
    else:
        rows = [row for row in _seen(app, records, timeout) if wanted.accept(row.state)]
    if as_json:
        dump([to_document(row) for row in rows])
    elif template is not None:
        _print_formatted(rows, records, template)
    elif quiet:
        for row in rows:
            say(row.name)
    else:
        columns(HEADERS, [_cells(row) for row in rows], LAYOUT)


def _print_formatted(rows: Sequence[MachineRow], records: Sequence[Machine | Broken], template: str) -> None:
    from pymachine.cli.formats import print_rows
    from pymachine.docker_machine.view import LIST_HEADERS, list_fields

    known = {record.name: record for record in records if not isinstance(record, Broken)}
    documents = [to_document(row) for row in rows]
    fields = [{**document, **list_fields(document, known.get(document["name"]))} for document in documents]
    headers = {**{key: key.upper() for key in documents[0]}, **LIST_HEADERS} if documents else LIST_HEADERS
    print_rows(documents, fields, headers, template)


def _tell_of_broken(omitted: Sequence[Machine | Broken]) -> None:
    """Name the records that cannot be read: whether a filter fits them is not known."""
    if broken := [record.name for record in omitted if isinstance(record, Broken)]:
        note(f"warning: not in the list, because their records cannot be read: {', '.join(broken)}")


def _active_machine(app: App) -> Machine | None:
    """Return the active machine; None also if the docker client cannot tell it, which spoils no list."""
    try:
        return active_machine(app)
    except PymachineError as error:
        note(f"warning: the active machine is not known: {error.message}")
        return None


def _unseen(record: Machine | Broken) -> MachineRow:
    """Return the row that follows from the record alone."""
    if isinstance(record, Broken):
        reason = f"{record.reason}; `pymachine rm -f {record.name}` forgets it"
        return MachineRow(record.name, driver="?", state=State.ERROR, errors=(reason,))
    return MachineRow(
        record.name,
        driver=record.driver,
        url=url_or_none(record),
        phase=record.phase,
        labels=record.labels,
        certificates_end=_first_end(record),
    )


def _seen(app: App, records: Sequence[Machine | Broken], timeout: float) -> list[MachineRow]:
    from pymachine.probe import probe_machines

    machines = [record for record in records if not isinstance(record, Broken)]
    results = probe_machines(machines, app.tools, timeout)
    active = _active_machine(app)
    rows = []
    for record in records:
        row = _unseen(record)
        if not isinstance(record, Broken):
            holder = app.store.holder(record.name)
            result = results[record.name]
            fields: dict[str, Any] = {"state": result.state, "engine": result.engine, "seconds": result.seconds}
            reasons = _reasons(app, record, holder, result.reason)
            row = _with(row, **fields, active=record == active, holder=holder, errors=reasons)
        rows.append(row)
    return rows


def _reasons(app: App, machine: Machine, holder: Holder | None, reason: str) -> tuple[str, ...]:
    """Return the messages about a machine: who works on it, how far it came, what failed, what expires soon."""
    reasons = []
    if holder is not None:
        reasons.append(f"{holder.purpose}: {holder.user}@{holder.host}, pid {holder.pid}, since {holder.since}")
    elif machine.phase is not Phase.READY:
        reasons.append(unready(machine))
    elif machine.fault is not None:
        reasons.append(stopped(machine.fault))
    if reason:
        reasons.append(reason)
    return (*reasons, *_expiry(machine, app.wiring.now()))


def _expiry(machine: Machine, now: float) -> tuple[str, ...]:
    end = _first_end(machine)
    if end is None:
        return ()
    days = (datetime.fromisoformat(end).timestamp() - now) / 86400
    if days > EXPIRY_WARNING:
        return ()
    when = f"expire in {days:.0f} days" if days > 0 else f"expired on {end[:10]}"
    if machine.guest:
        return (f"certificates {when}: ask for another export",)
    return (f"certificates {when}: `pymachine provision {machine.name}` renews them",)


def _first_end(machine: Machine) -> str | None:
    found = machine.certificates
    ends = (found.ca_expires, found.server_expires, found.client_expires) if found else ()
    return min(filter(None, ends), default=None)


def _with(row: MachineRow, **changes: Any) -> MachineRow:
    from dataclasses import replace

    return replace(row, **changes)


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
