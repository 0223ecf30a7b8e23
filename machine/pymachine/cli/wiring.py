"""What the command line is wired to: the real network, terminal and drivers, or whatever a test puts there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pymachine import registry
from pymachine.driver import Driver
from pymachine.events import Asker, Reporter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pymachine.steps.tools import AskEngine, Connect

Replace = Callable[[str, Sequence[str], Mapping[str, str]], object]


def _become(program: str, words: Sequence[str], environ: Mapping[str, str]) -> None:
    os.execvpe(program, list(words), dict(environ))


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts that the command line works with; None means the real thing.

    ``now`` returns seconds since the epoch. ``replace`` becomes another program as ``os.execvpe`` does.
    """

    reporter: Reporter | None = None
    asker: Asker | None = None
    connect: Connect | None = None
    ask_engine: AskEngine | None = None
    load_driver: Callable[[str], type[Driver]] = registry.load
    driver_names: Callable[[], list[str]] = registry.names
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    replace: Replace = _become
