"""The type hints of dataclasses, read once and in one place: for documents, for options, for keys of inventories."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


class HintForm(Enum):
    """How a hint is made."""

    CLASS = auto()  # str, a dataclass, Any
    UNION = auto()
    LITERAL = auto()
    SEQUENCE = auto()  # tuple[X, ...], list[X], frozenset[X]
    MAPPING = auto()


@dataclass(frozen=True, slots=True)
class Hint:
    """A type hint. ``of`` is its class, of a sequence or mapping that which is built; ``parts`` are hints within it.

    The parts of a union are its members without None, which ``optional`` stands for; of a sequence the items, of a
    mapping the values. ``values`` are those of a ``Literal``.
    """

    form: HintForm
    of: Any
    parts: tuple[Hint, ...] = ()
    values: tuple[Any, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class OptionShape:
    """What an option takes: one value of class ``of``, or ``many``; a choice of texts where there are ``choices``."""

    of: Any
    many: bool = False
    choices: tuple[str, ...] = ()


@cache
def hints_of(kind: Any) -> Mapping[str, Hint]:
    """Return the hints of a dataclass's fields by name."""
    return {name: _read(hint) for name, hint in get_type_hints(kind).items()}


def option_shape(hint: Hint) -> OptionShape:
    """Return what an option of this hint takes; ``X | None`` is an X, of which nothing given is None."""
    if hint.form is HintForm.UNION:
        hint = hint.parts[0]
    if hint.form is HintForm.SEQUENCE:
        item = option_shape(hint.parts[0])
        return OptionShape(item.of, many=True, choices=item.choices)
    return OptionShape(hint.of, choices=tuple(map(str, hint.values)))


def _read(hint: Any) -> Hint:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        members = tuple(_read(part) for part in inner if part is not NoneType)
        return Hint(HintForm.UNION, origin, members, optional=NoneType in inner)
    if origin is Literal:
        return Hint(HintForm.LITERAL, str, values=inner)
    if origin in (tuple, list, frozenset):
        return Hint(HintForm.SEQUENCE, origin, (_read(inner[0]),))
    if origin in (dict, Mapping, MutableMapping):
        return Hint(HintForm.MAPPING, origin, (_read(inner[1]),))
    return Hint(HintForm.CLASS, hint)
