"""The dependencies of the command line: the real network, terminal and drivers, or replacements for tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymachine.clock import REAL, Clock

if TYPE_CHECKING:
    from pymachine.driver import Driver
    from pymachine.events import Asker, Reporter
    from pymachine.fleet.apply.subprocesses import RunProgram
    from pymachine.steps.services import AskEngine, Connect
    from pymachine.swarm_api.protocol import ConnectCluster

Replace = Callable[[str, Sequence[str], Mapping[str, str]], object]


def _load_driver(name: str) -> type[Driver]:
    # Looking for entry points costs as much as click does, and few commands need a driver.
    from pymachine import registry

    return registry.load(name)


def _driver_names() -> list[str]:
    from pymachine import registry

    return registry.names()


def _become(program: str, words: Sequence[str], environ: Mapping[str, str]) -> None:
    os.execvpe(program, list(words), dict(environ))


def _run(words: Sequence[str], environ: Mapping[str, str], **how: Any) -> Any:
    from pymachine.fleet.apply.subprocesses import run_program

    return run_program(words, environ, **how)


@dataclass(frozen=True, slots=True)
class Wiring:
    """The objects that the command line uses; None means the real one.

    ``now`` returns seconds since the epoch. ``replace`` replaces this process as ``os.execvpe`` does; ``run`` runs a
    program and waits for its end.
    """

    reporter: Reporter | None = None
    asker: Asker | None = None
    connect: Connect | None = None
    ask_engine: AskEngine | None = None
    load_driver: Callable[[str], type[Driver]] = _load_driver
    driver_names: Callable[[], list[str]] = _driver_names
    now: Callable[[], float] = time.time
    clock: Clock = REAL
    replace: Replace = _become
    run: RunProgram = _run
    connect_cluster: ConnectCluster | None = None
