"""``pymachine gc``: cloud resources of machines that no store knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pymachine.driver import Driver, FindsLeftovers, Handle, Leftover, Search
from pymachine.errors import CheckFailed, NotSupported, PymachineError, SeveralFailed
from pymachine.events import surveying
from pymachine.steps.services import Services
from pymachine.store import Broken, readable
from pymachine.store.homes import lives


def collector(name: str, tools: Services) -> FindsLeftovers:
    """Return the driver, which must support finding leftovers. Raises ``DriverMissing``, ``NotSupported``."""
    driver: Driver = tools.driver(name)
    if not isinstance(driver, FindsLeftovers):
        raise NotSupported(
            f"driver {name} does not support finding leftovers",
            hint="it keeps nothing beside its machines: `pymachine ls` shows them",
        )
    return driver


def leftovers(driver: str, options: Any, tools: Services) -> Sequence[Leftover]:
    """Return leftovers of this store and of others, in the order in which they have to be removed.

    ``options`` are the driver's: where to search. Changes nothing. Raises ``NotSupported``, ``DriverError``.
    """
    of_driver = collector(driver, tools)
    told: set[str] = set()

    def notice(line: str) -> None:
        if line not in told:
            tools.reporter.notice(driver, line)
        told.add(line)

    with surveying(tools.reporter, "searching for leftovers"):
        return _found(of_driver, driver, options, tools, notice)


def _found(
    of_driver: FindsLeftovers, driver: str, options: Any, tools: Services, notice: Callable[[str], None]
) -> Sequence[Leftover]:
    def elsewhere(owner: str, home: str) -> bool | None:
        return lives(owner, home, but=tools.store.folder)

    while True:
        known = _known(driver, tools)
        found = of_driver.leftovers(Search(options, tools.store.identity, known, notice, elsewhere))
        # A machine is on record before its host exists: one that was begun while the driver looked shows now.
        if _known(driver, tools).keys() <= known.keys():
            return found


def discard(driver: str, unwanted: Sequence[Leftover], tools: Services, tell: Callable[[Leftover], None]) -> None:
    """Remove leftovers in their order, and report each that is removed.

    All are tried; then ``SeveralFailed`` has those that could not be removed. Raises ``CheckFailed`` if a record of
    the store cannot be read, because what its machine owns looks like a leftover.
    """
    _refuse_unreadable(tools)
    of_driver = collector(driver, tools)
    failures: dict[str, PymachineError] = {}
    for leftover in unwanted:
        try:
            of_driver.discard(leftover)
        except PymachineError as error:
            failures[f"{leftover.kind} {leftover.id}"] = error
        else:
            tell(leftover)
    if failures:
        raise SeveralFailed(failures)


def unreadable(tools: Services) -> list[str]:
    """Return the names of the machines whose records cannot be read, so that it is unknown what they own."""
    return [record.name for record in tools.store.records() if isinstance(record, Broken)]


def _refuse_unreadable(tools: Services) -> None:
    names = unreadable(tools)
    if names:
        raise CheckFailed(
            f"nothing is removed while a record cannot be read ({', '.join(names)}): what it owns is unknown",
            hint=f"restore a backup of the store, or remove the record: pymachine rm -f {' '.join(names)}",
        )


def _known(driver: str, tools: Services) -> Mapping[str, Handle]:
    """Return the handles of this driver's machines by id, whatever alias of the driver was used."""
    machines = readable(tools.store)
    ours = {name for name in {machine.driver for machine in machines} if tools.same_driver(name, driver)}
    return {machine.id: machine.handle or {} for machine in machines if machine.driver in ours}
