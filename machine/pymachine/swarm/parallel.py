"""The same question to several engines at once, so that those which do not answer are waited for together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def together(names: Sequence[str], ask: Callable[[str], T]) -> dict[str, T]:
    """Ask for each name in a thread of its own, and return the answers when all are there; errors are raised."""
    answers: dict[str, T] = {}
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            answers[name] = ask(name)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return {name: answers[name] for name in names}
