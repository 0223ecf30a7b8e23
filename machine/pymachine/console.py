"""``pymachine console``: the console output of a machine, and console access if no network access is possible."""

from __future__ import annotations

from collections.abc import Iterator

from pymachine.driver import Console
from pymachine.model import Machine
from pymachine.steps.power import handle_of, incapable
from pymachine.steps.services import Services

LOOK_EVERY = 1.0
_OVERLAP = 4096  # bytes by which a log that was cut at its beginning is found again


def log(name: str, tools: Services) -> bytes:
    """Return the stored console output, oldest first. Raises ``NotSupported``, ``DriverError``."""
    machine, driver = _with_console(name, tools)
    return driver.console_log(handle_of(machine))


def follow(name: str, tools: Services) -> Iterator[bytes]:
    """Yield the stored output, then new output once per second, without end."""
    seen = log(name, tools)
    yield seen
    while True:
        tools.clock.sleep(LOOK_EVERY)
        now = log(name, tools)
        yield news(seen, now)
        seen = now


def news(seen: bytes, now: bytes) -> bytes:
    """Return the part of ``now`` that is not in ``seen``. A log that has grown too long loses its oldest part."""
    if now.startswith(seen):
        return now[len(seen) :]
    tail = seen[-_OVERLAP:]
    place = now.rfind(tail)
    return now if place < 0 else now[place + len(tail) :]


def attach(name: str, tools: Services, *, keys: int, screen: int) -> None:
    """Connect two file descriptors to the console until Ctrl-] comes from ``keys`` or the machine stops."""
    machine, driver = _with_console(name, tools)
    driver.attach(handle_of(machine), keys, screen)


def _with_console(name: str, tools: Services) -> tuple[Machine, Console]:
    machine = tools.store.get(name)
    driver = tools.driver_of(machine)
    if not isinstance(driver, Console):
        raise incapable(machine, "show a console")
    return machine, driver
