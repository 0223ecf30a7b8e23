"""A reporter that is made when first used: commands that read have one, and nothing to tell it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymachine.cli.survey_line import SurveyLine
    from pymachine.events import Reporter


class DeferredReporter:
    """The reporter that ``choose`` returns, chosen with its first word: one for terminals loads rich.

    Looks are shown by a line of its own, which ``survey_line`` makes and which is taken away before any word.
    """

    def __init__(self, choose: Callable[[], Reporter], survey_line: Callable[[], SurveyLine]) -> None:
        self._choose = choose
        self._make_line = survey_line

    @cached_property
    def _real(self) -> Reporter:
        return self._choose()

    @cached_property
    def _line(self) -> SurveyLine:
        return self._make_line()

    def surveying(self, what: str, done: int, count: int, left: Sequence[str]) -> None:
        """Show a look, unless steps are shown already."""
        if "_real" not in self.__dict__ or not what:
            self._line.surveying(what, done, count, left)

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
