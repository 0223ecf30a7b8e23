"""The same work for many, a bounded number of them at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from pymachine.errors import PymachineError

T = TypeVar("T")
R = TypeVar("R")


def spread(items: Iterable[T], work: Callable[[T], R], width: int) -> Iterator[tuple[T, R | PymachineError]]:
    """Yield each item with what became of it, as it comes; errors that can be explained are values.

    Threads are daemons: what hangs in one keeps nobody. Whatever else is raised is raised here.
    """
    todo: queue.SimpleQueue[T] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[T, R | BaseException]] = queue.SimpleQueue()
    count = 0
    for count, item in enumerate(items, 1):  # noqa: B007 - the last one counts
        todo.put(item)

    def labour() -> None:
        while True:
            try:
                item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((item, work(item)))
            except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
                done.put((item, error))

    for _ in range(min(width, count)):
        threading.Thread(target=labour, daemon=True).start()
    for _ in range(count):
        item, result = done.get()
        if isinstance(result, BaseException) and not isinstance(result, PymachineError):
            raise result
        yield item, result
