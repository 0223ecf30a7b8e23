"""Ctrl-C while things are done side by side: whatever hangs keeps nobody, and nothing further is begun."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from patience import AGES, gives_up, until
from pymachine.cli.parallel import for_each
from pymachine.errors import Interrupted
from pymachine.fleet.apply.parallel import spread
from pymachine.swarm.parallel import together

NAMES = [f"m{number:03}" for number in range(40)]


@dataclass
class Hanging:
    """Work that hangs until it is let go, except for what is named ``m000``."""

    begun: list[str] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)

    def work(self, name: str) -> str:
        self.begun.append(name)
        if name != NAMES[0]:
            self.free.wait(AGES)
        return name


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.free.set()


def interrupt(go: Callable[[], object], when: Callable[[], bool]) -> None:
    """Send SIGINT once something holds while ``go`` is at work, and see that it is left."""

    def send() -> None:
        until(when, "the work to begin")
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    with gives_up(), pytest.raises((KeyboardInterrupt, Interrupted)):
        go()
    sender.join()


GoOn = Callable[[Callable[[str], str]], object]
WAYS: dict[str, tuple[GoOn, int]] = {
    "for_each": (lambda work: for_each(NAMES, work, lambda name, result: None), 17),
    "spread": (lambda work: list(spread(NAMES, work, 3)), 4),
    "together": (lambda work: together(NAMES, work), len(NAMES)),
}


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_leaves_what_hangs(way: str, hanging: Hanging) -> None:
    go, begun = WAYS[way]
    interrupt(lambda: go(hanging.work), lambda: len(hanging.begun) == begun)
