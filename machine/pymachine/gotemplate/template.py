"""A template that was read and can be filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymachine.gotemplate.errors import TemplateError
from pymachine.gotemplate.evaluator import Evaluator
from pymachine.gotemplate.functions import FUNCTIONS, Functions
from pymachine.gotemplate.nodes import Node
from pymachine.gotemplate.parser import parse


class Template:
    """A Go template, as a user gives it to ``--format``. Raises ``TemplateError`` if it is not valid.

    ``functions`` are those it may call: ``PRINTABLE`` for one whose result is printed.
    """

    def __init__(self, text: str, functions: Functions = FUNCTIONS) -> None:
        self._functions = functions
        self._nodes: Sequence[Node] = parse(text, functions)

    def fill(self, data: Any) -> str:
        """Return the text for some data: mappings, lists, texts, numbers, ``Struct``.

        Raises ``TemplateError`` where an expression does not fit the data.
        """
        try:
            return Evaluator(data, self._functions).text_of(self._nodes, data)
        except RecursionError:
            raise TemplateError("the data is nested too deeply") from None
