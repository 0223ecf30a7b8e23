"""The functions that a template may call: Go's own of the set, and those that docker adds.

Each takes its arguments as a list. https://pkg.go.dev/text/template#hdr-Functions
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pymachine.gotemplate.errors import TemplateError
from pymachine.gotemplate.go_json import go_json
from pymachine.gotemplate.printf import formatted, printed, printed_line
from pymachine.gotemplate.values import ABSENT, GoKind, is_true, kind_of
from pymachine.printable import printable_json

Function = Callable[[Sequence[Any]], Any]
# By name: what is called, and how many arguments it takes at least and at most (None: any number).
Functions = Mapping[str, tuple[Function, int, int | None]]
_ORDERED = (GoKind.INT, GoKind.FLOAT, GoKind.STRING)


def call(functions: Functions, name: str, arguments: Sequence[Any]) -> Any:
    """Call a function by its name. Raises ``TemplateError``."""
    function, least, most = functions[name]
    if len(arguments) < least or (most is not None and len(arguments) > most):
        wanted = str(least) if least == most else f"at least {least}" if most is None else f"{least} to {most}"
        raise TemplateError(f"{name} takes {wanted} arguments, not {len(arguments)}")
    try:
        return function([None if argument is ABSENT else argument for argument in arguments])
    except TemplateError as error:
        raise TemplateError(f"{name}: {error.message}") from None


def _equal(arguments: Sequence[Any]) -> bool:
    """Whether the first argument equals any of the others."""
    first, *others = arguments
    return any(_same(first, other) for other in others)


def _same(first: Any, other: Any) -> bool:
    kinds = kind_of(first), kind_of(other)
    if first is None or other is None:
        return first is other
    for kind in kinds:
        if kind in (GoKind.MAP, GoKind.SLICE, GoKind.STRUCT):
            raise TemplateError(f"a value of type {kind} cannot be compared")
    if kinds[0] is not kinds[1]:
        raise TemplateError(f"values of types {kinds[0]} and {kinds[1]} cannot be compared")
    return bool(first == other)


def _compared(compare: Callable[[Any, Any], bool]) -> Function:
    def ordered(arguments: Sequence[Any]) -> bool:
        first, other = arguments
        for kind in (kind_of(first), kind_of(other)):
            if kind not in _ORDERED:
                raise TemplateError(f"a value of type {kind} has no order")
        if kind_of(first) is not kind_of(other):
            raise TemplateError(f"values of types {kind_of(first)} and {kind_of(other)} cannot be compared")
        return compare(first, other)

    return ordered


def _length(arguments: Sequence[Any]) -> int:
    """The number of items, or of the bytes of a text."""
    (value,) = arguments
    kind = kind_of(value)
    if kind not in (GoKind.STRING, GoKind.SLICE, GoKind.MAP):
        raise TemplateError(f"a value of type {kind} has no length")
    return len(value.encode(errors="surrogateescape") if isinstance(value, str) else value)


def _index(arguments: Sequence[Any]) -> Any:
    """The item of a list, map or text, of that one's item, and so on."""
    value, *places = arguments
    if value is None:
        raise TemplateError("nil has no items")
    for place in places:
        value = _item(value, place)
    return value


def _item(value: Any, place: Any) -> Any:
    kind, wanted = kind_of(value), kind_of(place)
    if kind is GoKind.MAP:
        if wanted is not GoKind.STRING:
            raise TemplateError(f"a map is indexed by text, not by a value of type {wanted}")
        return value.get(place)
    if kind not in (GoKind.SLICE, GoKind.STRING):
        raise TemplateError(f"a value of type {kind} has no items")
    if wanted is not GoKind.INT:
        raise TemplateError(f"a list is indexed by a whole number, not by a value of type {wanted}")
    items = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    if not 0 <= place < len(items):
        raise TemplateError(f"the index {place} is out of range: there are {len(items)}")
    return items[place]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"text is wanted, not a value of type {kind_of(value)}")
    return value


def _split(arguments: Sequence[Any]) -> list[str]:
    text, separator = map(_text, arguments)
    return text.split(separator) if separator else list(text)


def _join(arguments: Sequence[Any]) -> str:
    items, separator = arguments
    if kind_of(items) not in (GoKind.SLICE, GoKind.NIL):
        raise TemplateError(f"a list is wanted, not a value of type {kind_of(items)}")
    return _text(separator).join(map(_text, items or ()))


FUNCTIONS: Functions = {
    "and": (lambda _: None, 1, None),  # the evaluator itself: what is decided is not evaluated
    "or": (lambda _: None, 1, None),
    "not": (lambda arguments: not is_true(arguments[0]), 1, 1),
    "eq": (_equal, 2, None),
    "ne": (lambda arguments: not _same(*arguments), 2, 2),
    "lt": (_compared(operator.lt), 2, 2),
    "le": (_compared(operator.le), 2, 2),
    "gt": (_compared(operator.gt), 2, 2),
    "ge": (_compared(operator.ge), 2, 2),
    "index": (_index, 1, None),
    "len": (_length, 1, 1),
    "print": (printed, 0, None),
    "println": (printed_line, 0, None),
    "printf": (lambda arguments: formatted(_text(arguments[0]), arguments[1:]), 1, None),
    "json": (lambda arguments: go_json(arguments[0]), 1, 1),
    "prettyjson": (lambda arguments: go_json(arguments[0], indent=4), 1, 1),
    "join": (_join, 2, 2),
    "split": (_split, 2, 2),
    "lower": (lambda arguments: _text(arguments[0]).lower(), 1, 1),
    "upper": (lambda arguments: _text(arguments[0]).upper(), 1, 1),
}

# The same, with JSON as ``printable_json`` makes it: JSON does not have the escapes that ``printable`` writes.
PRINTABLE: Functions = {
    **FUNCTIONS,
    "json": (lambda arguments: printable_json(go_json(arguments[0])), 1, 1),
    "prettyjson": (lambda arguments: printable_json(go_json(arguments[0], indent=4)), 1, 1),
}
