"""The signals that end a command. Fast to import."""

import signal
import threading
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def stoppable() -> "Iterator[None]":
    """Treat SIGTERM and SIGHUP as Ctrl-C, so that running work ends in order and reports what it kept."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: "FrameType | None") -> None:
    raise KeyboardInterrupt
