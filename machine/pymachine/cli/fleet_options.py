"""Common parts of the fleet commands: their options, and a fleet that is opened for work."""

from __future__ import annotations

import resource
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from pymachine.cli.app import App
from pymachine.cli.inventory_files import FILES, read_inventory
from pymachine.cli.lookup import unlock_swarms
from pymachine.cli.output import note
from pymachine.errors import UsageFault
from pymachine.store import readable

if TYPE_CHECKING:
    from pymachine.cli.fleet_progress import FleetTeller
    from pymachine.fleet.apply.fleet import FleetWork
    from pymachine.fleet.inventory import Fleet
    from pymachine.fleet.plan import Batch

LIMIT = click.option(
    "--limit", "-l", multiple=True, metavar="PATTERN",
    help="Only these machines and stacks: names, globs, groups, roles; ! excludes. May be repeated.",
)  # fmt: skip
PARALLEL = click.option(
    "--parallel", type=click.IntRange(1, 1000), default=10, show_default=True, metavar="N",
    help="Number of machines to work on at a time.",
)  # fmt: skip
WIDE = click.option(
    "--parallel", type=click.IntRange(1, 1000), default=100, show_default=True, metavar="N",
    help="Number of machines to connect to at a time.",
)  # fmt: skip
# Exit codes of `plan` and `drift`: something differs; nothing does, but some machines could not be looked at.
CHANGES = 6
UNSEEN = 5
__all__ = ["CHANGES", "FILES", "LIMIT", "PARALLEL", "UNSEEN", "WIDE"]


@contextmanager
def opened(
    app: App,
    files: Sequence[str],
    limit: Sequence[str],
    *,
    purpose: str = "",
    teller: FleetTeller | None = None,
) -> Iterator[tuple[FleetWork, frozenset[str]]]:
    """Read the inventory and open its fleet; yield it, and the names that ``--limit`` selects.

    With a ``purpose``, the fleet is also locked against changes by others.
    """
    from pymachine.cli.fleet_progress import choose_teller
    from pymachine.fleet.apply.fleet import FleetWork, leased
    from pymachine.fleet.apply.selectors import selected
    from pymachine.fleet.apply.subprocesses import Computer
    from pymachine.fleet.apply.survey import records_of

    inventory = read_inventory(app, files)
    fleet = named(inventory.fleet)
    app.reporter = teller or choose_teller(app, as_json=False)
    names = selected(fleet, records_of(app.tools), limit)
    _open_files()
    with ExitStack() as stack:
        if purpose:
            _unlock(app, fleet.name)
            stack.enter_context(leased(fleet.name, f"{purpose} {fleet.name}", app.tools))
        computer = Computer(app.environ, app.wiring.run)
        yield stack.enter_context(FleetWork(fleet, app.tools, computer, inventory.revealed)), names


def named(fleet: Fleet) -> Fleet:
    """Return the fleet. Raises ``UsageFault`` if it has no name, since its machines could not be identified."""
    if not fleet.name:
        raise UsageFault("the inventory does not name its fleet", hint="start it with `fleet: NAME`")
    return fleet


def parse_failures(text: str | None, machines: int) -> int | None:
    """Parse ``N`` or ``N%`` of the machines. Raises ``UsageFault``."""
    if text is None:
        return None
    number, percent = _number(text, "--max-failures", "write 3 or 10%")
    return machines * number // 100 if percent else number


def parse_batch(text: str, among: Collection[str] | None = None) -> Batch:
    """Parse ``N`` or ``N%`` of the workers that restart ``among`` these machines. Raises ``UsageFault``."""
    from pymachine.fleet.plan import Batch

    hint = "write 2 or 25%"
    number, percent = _number(text, "--batch", hint)
    if not number:
        raise UsageFault(f"--batch {text}: no worker could restart", hint=hint)
    return Batch(number, percent, among)


def _number(text: str, flag: str, hint: str) -> tuple[int, bool]:
    """Parse ``N`` or ``N%``; return the number, and whether it is a percentage."""
    number, percent, rest = text.partition("%")
    if not number.isdecimal() or rest or (percent and int(number) > 100):
        raise UsageFault(f"{flag} {text}: not a number or a percentage", hint=hint)
    return int(number), bool(percent)


def _unlock(app: App, fleet: str) -> None:
    from pymachine.fleet.apply.state import note_name

    holder = app.store.break_lease(note_name(fleet)) if app.force_unlock else None
    if holder is not None:
        note(f"note: took fleet {fleet} from {holder.user}@{holder.host}, process {holder.pid} ({holder.purpose})")
    unlock_swarms(app, [machine.name for machine in readable(app.store) if machine.fleet == fleet])


def _open_files() -> None:
    """Raise the limit of open files to three per host: the usual limit of 1,024 suffices for 338 hosts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
