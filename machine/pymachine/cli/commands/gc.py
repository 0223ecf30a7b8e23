"""``gc``: what is left in a cloud of machines that nobody knows, and an end to its bill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.driver_command import DRIVER_OPTIONS, DriverCommand, chosen_driver, chosen_options
from pymachine.cli.options import JSON, YES, command, with_options
from pymachine.cli.output import columns, dump, note, say
from pymachine.documents import to_document

if TYPE_CHECKING:
    from pymachine.driver import Leftover

HEADERS = ("KIND", "ID", "NAME", "PLACE", "CREATED", "DETAIL")


@command(DriverCommand)
@with_options(DRIVER_OPTIONS)
@click.option("--remove", is_flag=True, help="Remove the leftovers.")
@click.option(
    "--any-store", is_flag=True, help="Include leftovers of other pymachine stores, e.g. those of colleagues."
)
@YES
@JSON
@click.pass_obj
def gc(app: App, /, driver: str | None, as_json: bool, **given: Any) -> None:
    """Find and remove cloud resources that no store knows.

    Searches where the driver's options say, for what pymachine marked as its own. Removes nothing without --remove.
    """
    from pymachine.leftovers import collector

    name = chosen_driver(app, driver)
    collector(name, app.tools)
    options = chosen_options(app, name, given)

    def search() -> Sequence[Leftover]:
        return _looked(app, name, options, any_store=given["any_store"])

    found = search()
    if not given["remove"]:
        _list(found, as_json=as_json, any_store=given["any_store"])
        return
    if found and not given["yes"]:
        found = _agreed(app, found, search)
    _remove(app, name, found, as_json=as_json)


def _looked(app: App, driver: str, options: Any, *, any_store: bool) -> Sequence[Leftover]:
    from pymachine.leftovers import leftovers, unreadable

    for name in unreadable(app.tools):
        note(f"note: the record of {name} cannot be read: its resources may be among these")
    found = leftovers(driver, options, app.tools)
    others = 0 if any_store else sum(not leftover.ours for leftover in found)
    if others:
        note(f"note: {others} more of other stores: --any-store includes them")
    return [leftover for leftover in found if leftover.ours or any_store]


def _list(found: Sequence[Leftover], *, as_json: bool, any_store: bool) -> None:
    if as_json:
        dump([_document(leftover) for leftover in found])
    elif not found:
        say("there are no leftovers")
    else:
        headers = (*HEADERS, "STORE") if any_store else HEADERS
        columns(headers, [_cells(leftover, any_store=any_store) for leftover in found])
        say("run the command again with --remove to remove " + ("it" if len(found) == 1 else "them"))


def _agreed(app: App, found: Sequence[Leftover], search: Callable[[], Sequence[Leftover]]) -> Sequence[Leftover]:
    """Return what may be removed: nothing after a no, else what is still left over after the time that it took."""
    lines = [f"  {_named(leftover)}" for leftover in found]
    question = "\n".join(["About to remove", *lines, "Go on?"])
    if not app.asker.confirm(question, instead="use -y to remove without confirmation"):
        return []
    still = {(leftover.kind, leftover.id) for leftover in search()}
    return [leftover for leftover in found if (leftover.kind, leftover.id) in still]


def _remove(app: App, driver: str, found: Sequence[Leftover], *, as_json: bool) -> None:
    from pymachine.leftovers import discard

    gone: list[Leftover] = []

    def tell(leftover: Leftover) -> None:
        gone.append(leftover)
        if not as_json:
            say(f"{_named(leftover)} is removed")

    if not found and not as_json:
        note("nothing was removed")
    try:
        discard(driver, found, app.tools, tell)
    finally:
        if as_json:
            dump([_document(leftover) for leftover in gone])


def _named(leftover: Leftover) -> str:
    name = f" ({leftover.name})" if leftover.name else ""
    return f"{leftover.kind} {leftover.id}{name} in {leftover.place}"


def _cells(leftover: Leftover, *, any_store: bool) -> tuple[str, ...]:
    store = ("ours" if leftover.ours else "another",) if any_store else ()
    seen = (leftover.kind, leftover.id, leftover.name, leftover.place, leftover.created, leftover.detail)
    return (*(cell or "-" for cell in seen), *store)


def _document(leftover: Leftover) -> dict[str, Any]:
    document: dict[str, Any] = to_document(leftover)
    return {key: value for key, value in document.items() if key != "handle"}
