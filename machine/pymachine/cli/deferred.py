"""A reporter that is made when first used: commands that read have one, and nothing to tell it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymachine.events import Reporter


class DeferredReporter:
    """The reporter that ``choose`` returns, chosen with its first word: one for terminals loads rich."""

    def __init__(self, choose: Callable[[], Reporter]) -> None:
        self._choose = choose

    @cached_property
    def _real(self) -> Reporter:
        return self._choose()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def close(self) -> None:
        """Take back what it put on the terminal, if it ever came to that."""
        close = getattr(self.__dict__.get("_real"), "close", None)
        if close is not None:
            close()
