"""``pymachine snapshot``: save a machine's state, and restore it."""

from __future__ import annotations

from dataclasses import replace

from pymachine.driver import Snapshot, Snapshots
from pymachine.model import Machine, State
from pymachine.steps.power import at_work, await_engine, handle_of, incapable, right_clock
from pymachine.steps.services import Services


def snapshot(name: str, label: str, tools: Services) -> None:
    """Save the machine's current state as ``label``. Raises ``NotSupported``, ``UsageFault``, ``DriverError``."""
    machine, driver = _with_snapshots(name, tools)
    with at_work(machine, "snapshot", driver, tools) as (_, machine):
        driver.snapshot(handle_of(machine), label)


def restore(name: str, label: str, tools: Services) -> State:
    """Restore ``label`` and return the restored state; if the machine runs, wait for its engine.

    Its clock is set first, because it is that of the snapshot. The record takes over the restored engine's version.
    """
    machine, driver = _with_snapshots(name, tools)
    with at_work(machine, "restore", driver, tools) as (session, machine):
        state = driver.restore(handle_of(machine), label)
        session.touched = True
        if state is State.RUNNING:
            right_clock(machine, session)
            answer = await_engine(machine, tools)
            if answer is not None and answer.version != machine.engine_version:
                session.save(replace(machine, engine_version=answer.version))
    return state


def snapshots(name: str, tools: Services) -> tuple[Snapshot, ...]:
    """Return the machine's snapshots, oldest first."""
    machine, driver = _with_snapshots(name, tools)
    return driver.snapshots(handle_of(machine))


def drop_snapshot(name: str, label: str, tools: Services) -> None:
    """Delete the snapshot ``label``."""
    machine, driver = _with_snapshots(name, tools)
    with at_work(machine, "snapshot rm", driver, tools) as (_, machine):
        driver.drop_snapshot(handle_of(machine), label)


def _with_snapshots(name: str, tools: Services) -> tuple[Machine, Snapshots]:
    machine = tools.store.get(name)
    driver = tools.driver_of(machine)
    if not isinstance(driver, Snapshots):
        raise incapable(machine, "keep snapshots")
    return machine, driver
