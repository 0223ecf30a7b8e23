"""``pymachine resize``: change the size of a machine that is powered off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymachine.driver import Alters, Resizes
from pymachine.errors import UsageFault
from pymachine.model import Machine
from pymachine.sizes import exact_size
from pymachine.steps.power import at_work, handle_of, incapable
from pymachine.steps.services import Services


@dataclass(frozen=True, slots=True)
class Size:
    """The changes: virtual processors, memory and disk in bytes; None does not change."""

    cpus: int | None = None
    memory: int | None = None
    disk: int | None = None


def resize(name: str, size: Size, tools: Services) -> None:
    """Change the size, on record as well; it takes effect at the machine's next start.

    Raises ``UsageFault`` if there is nothing to change, ``NotSupported`` if the driver cannot, and ``CheckFailed``
    for a machine that is on, a disk that would shrink, or more than its host has.
    """
    if size == Size():
        raise UsageFault("resize needs a size", hint="give --cpus, --memory or --disk")
    machine = tools.store.get(name)
    driver = tools.driver_of(machine)
    if not isinstance(driver, Resizes):
        raise incapable(machine, "resize its machines")
    with at_work(machine, "resize", driver, tools) as (session, machine):
        driver.resize(handle_of(machine), cpus=size.cpus, memory=size.memory, disk=size.disk)
        session.touched = True
        session.save(machine.with_(options={**machine.options, **_options(machine, driver, size)}))


def _options(machine: Machine, driver: Resizes, size: Size) -> dict[str, Any]:
    """Return the driver options for the new size, for comparison with an inventory and for clones."""
    alters = driver.alters if isinstance(driver, Alters) else {}
    given = {name: getattr(size, what, None) for name, what in alters.items()}
    return {
        name: exact_size(value) if isinstance(machine.options.get(name), str) else value
        for name, value in given.items()
        if value is not None
    }
