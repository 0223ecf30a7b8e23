"""The rows of ``ls``: machines asked in parallel within one time limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pymachine.cli.app import App
from pymachine.cli.lookup import active_machine, stopped, unready, url_or_none
from pymachine.cli.output import note
from pymachine.documents import to_document
from pymachine.errors import PymachineError
from pymachine.model import Machine, Phase, State
from pymachine.store import Broken, Holder

TIMEOUT = 10.0
EXPIRY_WARNING = 30  # days


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


def print_formatted(rows: Sequence[MachineRow], records: Sequence[Machine | Broken], template: str) -> None:
    """Print rows as JSON or YAML, or by a template of docker-machine's fields or ours. Raises ``TemplateError``."""
    from pymachine.cli.formats import print_rows
    from pymachine.docker_machine.view import LIST_HEADERS, list_fields

    known = {record.name: record for record in records if not isinstance(record, Broken)}
    documents = [to_document(row) for row in rows]
    fields = [{**document, **list_fields(document, known.get(document["name"]))} for document in documents]
    headers = {**{key: key.upper() for key in documents[0]}, **LIST_HEADERS} if documents else LIST_HEADERS
    print_rows(documents, fields, headers, template)


def tell_of_broken(omitted: Sequence[Machine | Broken]) -> None:
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


def unseen(record: Machine | Broken) -> MachineRow:
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


def seen_rows(app: App, records: Sequence[Machine | Broken], timeout: float) -> list[MachineRow]:
    """Ask all machines within ``timeout`` seconds and return a row for each record."""
    from pymachine.probe import probe_machines

    machines = [record for record in records if not isinstance(record, Broken)]
    results = probe_machines(machines, app.tools, timeout)
    active = _active_machine(app)
    rows = []
    for record in records:
        row = unseen(record)
        if not isinstance(record, Broken):
            holder = app.store.holder(record.name)
            result = results[record.name]
            row = replace(
                row,
                active=record == active,
                state=result.state,
                engine=result.engine,
                holder=holder,
                errors=_reasons(app, record, holder, result.reason),
                seconds=result.seconds,
            )
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
