"""A reporter that is made when first used: commands that read have one, and nothing to tell it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymachine.cli.look_line import LookLine
    from pymachine.events import Reporter


class DeferredReporter:
    """The reporter that ``choose`` returns, chosen with its first word: one for terminals loads rich.

    Looks are shown by a line of its own, which ``look_line`` makes and which is taken away before any word.
    """

    def __init__(self, choose: Callable[[], Reporter], look_line: Callable[[], LookLine]) -> None:
        self._choose = choose
        self._make_line = look_line

    @cached_property
    def _real(self) -> Reporter:
        return self._choose()

    @cached_property
    def _line(self) -> LookLine:
        return self._make_line()

    def looking(self, what: str, done: int, count: int, left: Sequence[str]) -> None:
        """Show a look, unless steps are shown already."""
        if "_real" not in self.__dict__ or not what:
            self._line.looking(what, done, count, left)

    def __getattr__(self, name: str) -> Any:
        self._cleared()
        return getattr(self._real, name)

    def close(self) -> None:
        """Take back what it put on the terminal, if it ever came to that."""
        self._cleared()
        close = getattr(self.__dict__.get("_real"), "close", None)
        if close is not None:
            close()

    def _cleared(self) -> None:
        if "_line" in self.__dict__:
            self._line.clear()
