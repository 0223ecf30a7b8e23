"""Ctrl-C while things are done side by side: whatever hangs keeps nobody, and nothing further is begun."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from typing_extensions import override

from patience import AGES, gives_up, until
from pymachine.cli.parallel import for_each
from pymachine.driver import Search
from pymachine.errors import Interrupted
from pymachine.parallel import spread, together
from pymachine_aws import leftovers
from pymachine_aws.options import AwsOptions
from unit.aws_life import Region

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


def search(work: Callable[[str], str]) -> None:
    """Search each region of an account for what is left over."""

    class Place(Region):
        @override
        def read(self, operation: str, what: str, *, service: str = "ec2", **params: Any) -> dict[str, Any]:
            return {"Regions": [{"RegionName": name} for name in NAMES]}

        @override
        def pages(self, operation: str, key: str, what: str, **params: Any) -> Iterator[Any]:
            work(self.region)
            return iter(())

    options = AwsOptions(aws_region="all")
    leftovers.find(Search(options, "this-store", {}), lambda wanted: Place(region=wanted.region or NAMES[0]))


# How they are done, and how many were begun when all that run hang.
WAYS: dict[str, tuple[Callable[[Callable[[str], str]], object], int]] = {
    "for_each": (lambda work: for_each(NAMES, work, lambda name, result: None), 17),
    "spread": (lambda work: list(spread(NAMES, work, 3)), 4),
    "together": (lambda work: together(NAMES, work), len(NAMES)),
    "search of all regions": (search, leftovers.REGIONS_AT_ONCE + 1),
}


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_leaves_what_hangs_and_nothing_further_is_begun(way: str, hanging: Hanging) -> None:
    go, begun = WAYS[way]
    before = set(threading.enumerate())
    interrupt(lambda: go(hanging.work), lambda: len(set(hanging.begun)) == begun)
    hanging.free.set()
    until(lambda: set(threading.enumerate()) <= before, "all that was begun to end")
    assert len(set(hanging.begun)) == begun
