"""What the commands of fleets share: their options, and a fleet opened for work."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from pymachine.cli.app import App
from pymachine.cli.inventories import FILES, read_inventory
from pymachine.cli.output import note
from pymachine.errors import UsageFault

if TYPE_CHECKING:
    from pymachine.apply.working import FleetWork
    from pymachine.cli.fleettelling import FleetTeller
    from pymachine.inventory import Fleet

LIMIT = click.option(
    "--limit", "-l", multiple=True, metavar="PATTERN",
    help="Only these machines and stacks: names, globs, groups, roles; ! leaves out. May be repeated.",
)  # fmt: skip
PARALLEL = click.option(
    "--parallel", type=click.IntRange(1, 1000), default=10, show_default=True, metavar="N",
    help="How many machines are worked on at once.",
)  # fmt: skip
WIDE = click.option(
    "--parallel", type=click.IntRange(1, 1000), default=100, show_default=True, metavar="N",
    help="How many machines are spoken to at once.",
)  # fmt: skip
CHANGES = 6  # the exit code of `plan` and `drift` where there is something
__all__ = ["CHANGES", "FILES", "LIMIT", "PARALLEL", "WIDE"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A fleet that is worked on, the names that ``--limit`` means, and who tells of it."""

    work: FleetWork
    names: frozenset[str]
    teller: FleetTeller


@contextmanager
def opened(
    app: App,
    files: Sequence[str],
    limit: Sequence[str],
    *,
    purpose: str = "",
    as_json: bool = False,
    looking: int = 100,
) -> Iterator[Opened]:
    """Read the inventory and open its fleet; with a ``purpose`` also hold it, so that nobody else changes it."""
    from pymachine.apply.looking import records_of
    from pymachine.apply.selection import selected
    from pymachine.apply.working import Computer, FleetWork, leased
    from pymachine.cli.fleettelling import choose_teller

    fleet = named(read_inventory(app, files).fleet)
    teller = choose_teller(app, as_json=as_json)
    app.reporter = teller
    names = selected(fleet, records_of(app.tools), limit)
    _open_files()
    with ExitStack() as stack:
        if purpose:
            _unlock(app, fleet.name)
            stack.enter_context(leased(fleet.name, f"{purpose} {fleet.name}", app.tools))
        work = stack.enter_context(FleetWork(fleet, app.tools, Computer(app.environ, app.wiring.run, looking)))
        yield Opened(work, names, teller)


def named(fleet: Fleet) -> Fleet:
    """Return the fleet. Raises ``UsageFault`` for one without a name: its machines could not be told from others."""
    if not fleet.name:
        raise UsageFault("the inventory does not name its fleet", hint="begin it with `fleet: NAME`")
    return fleet


def parse_failures(text: str | None, machines: int) -> int | None:
    """Read ``N`` or ``N%`` of the machines. Raises ``UsageFault``."""
    if text is None:
        return None
    number, percent, rest = text.partition("%")
    if not number.isdecimal() or rest or (percent and int(number) > 100):
        raise UsageFault(f"--max-failures {text}: not a number or a percentage", hint="write 3 or 10%")
    return machines * int(number) // 100 if percent else int(number)


def _unlock(app: App, fleet: str) -> None:
    from pymachine.apply.memory import note_name

    holder = app.store.break_lease(note_name(fleet)) if app.force_unlock else None
    if holder is not None:
        note(f"note: took fleet {fleet} from {holder.user}@{holder.host}, process {holder.pid} ({holder.purpose})")


def _open_files() -> None:
    """Have room for three descriptors a host: the usual limit of 1,024 is that of 338 hosts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
