"""What is examined of this computer: its programs, the store, the clock, and what drivers need of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

from pymachine.doctor.examination import Examination
from pymachine.doctor.kernel_clock import is_synchronised
from pymachine.driver import ChecksHealth, Health, HealthCheck
from pymachine.errors import DriverMissing
from pymachine.fleet.apply.compose import without_compose
from pymachine.fleet.apply.subprocesses import Computer, NotInstalled
from pymachine.fleet.plan import Why
from pymachine.model import Machine
from pymachine.sizes import MIB
from pymachine.ssh_client import INSTALL
from pymachine.steps.services import Services
from pymachine.store import Broken, Store, readable
from pymachine.store.integrity import integrity_faults

PROGRAM_DEADLINE = 10.0  # seconds
LEAST_ROOM = 64 * MIB  # what a store writes in a long time, with room to merge its log
_WITHOUT_ENGINE = {"DOCKER_HOST": "unix:///dev/null"}  # the client alone is asked


def computer_examinations(
    tools: Services, drivers: Sequence[str], computer: Computer, timeout: float
) -> list[Examination]:
    """Return what is to be examined. ``drivers`` are the names of the installed ones, aliases included."""
    client = Computer({**computer.environ, **_WITHOUT_ENGINE}, computer.run)
    own: dict[str, Callable[[], Sequence[HealthCheck]]] = {
        "ssh": lambda: [_program("ssh", ["ssh", "-V"], computer)],
        "docker": lambda: [_program("docker", ["docker", "--version"], client)],
        "compose": lambda: [_compose(client)],
        "store": lambda: _store(tools.store, timeout),
        "clock": lambda: [_clock()],
    }
    found = [Examination("", name, checks) for name, checks in own.items()]
    machines = readable(tools.store)
    return found + [
        Examination("", f"driver {name}", partial(_driver, name, machines, tools, timeout))
        for name in _distinct(drivers, tools)
    ]


def _program(name: str, words: Sequence[str], computer: Computer) -> HealthCheck:
    try:
        ended = computer.run(words, computer.environ, deadline=PROGRAM_DEADLINE)
    except NotInstalled as error:
        return HealthCheck(name, Health.FAULT, error.message, INSTALL[name])
    first = ended.lines[0] if ended.lines else ""
    if ended.code:
        return HealthCheck(
            name, Health.FAULT, f"{' '.join(words)} ended with code {ended.code}: {first}", INSTALL[name]
        )
    return HealthCheck(name, Health.FINE, first)


def _compose(computer: Computer) -> HealthCheck:
    missing = without_compose(computer)
    if missing is None:
        return HealthCheck("compose", Health.FINE)
    health = Health.UNKNOWN if missing.why is Why.NOT_ASKED else Health.FAULT
    return HealthCheck("compose", health, missing.message, missing.hint)


def _store(store: Store, timeout: float) -> list[HealthCheck]:
    faults = integrity_faults(store.folder, deadline=timeout)
    checks = [
        HealthCheck("store", Health.FAULT, "; ".join(faults), "put a backup of state.db in its place")
        if faults
        else HealthCheck("store", Health.FINE, str(store.folder))
    ]
    for record in store.records():
        if isinstance(record, Broken):
            mend = f"pymachine rm -f {record.name}"
            checks.append(HealthCheck("store", Health.FAULT, f"record {record.name}: {record.reason}", mend))
    return [*checks, _room(store)]


def _room(store: Store) -> HealthCheck:
    try:
        disk = os.statvfs(store.folder)
    except OSError as error:
        return HealthCheck("store room", Health.UNKNOWN, (error.strerror or str(error)).lower())
    free = disk.f_bavail * disk.f_frsize
    told = f"{free // MIB} MiB free"
    if free < LEAST_ROOM:
        return HealthCheck("store room", Health.FAULT, told, f"free space on the file system of {store.folder}")
    return HealthCheck("store room", Health.FINE, told)


def _clock() -> HealthCheck:
    synchronised = is_synchronised()
    if synchronised:
        return HealthCheck("clock", Health.FINE, "synchronised")
    told = (
        "nothing synchronises it" if synchronised is False else "the kernel does not say whether it is synchronised"
    )
    return HealthCheck("clock", Health.UNKNOWN, told, "sudo timedatectl set-ntp true")


def _driver(name: str, machines: Sequence[Machine], tools: Services, timeout: float) -> Sequence[HealthCheck]:
    """Check what a driver needs; one of which a package is missing is not in use, unless it has machines."""
    own = [machine for machine in machines if tools.same_driver(machine.driver, name)]
    try:
        driver = tools.driver(name)
        if not isinstance(driver, ChecksHealth):
            return []
        return driver.health([each.handle for each in own if each.handle is not None], deadline=timeout)
    except DriverMissing as error:
        if not own:
            return []
        return [HealthCheck(f"driver {name}", Health.FAULT, error.message, error.hint or "")]


def _distinct(drivers: Sequence[str], tools: Services) -> list[str]:
    """Return one name of each driver."""
    found: list[str] = []
    for name in drivers:
        if not any(tools.same_driver(name, other) for other in found):
            found.append(name)
    return found
