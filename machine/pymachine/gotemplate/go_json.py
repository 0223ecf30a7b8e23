"""JSON as Go writes it: keys in order, ``<``, ``>`` and ``&`` escaped, floats without a dot where they are whole."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pymachine.gotemplate.errors import TemplateError
from pymachine.gotemplate.printf import shortest

_PAIR = re.compile(r"\\.")
_LONG = {"\\b": "\\u0008", "\\f": "\\u000c"}  # Go before 1.22, as docker-machine's
_ESCAPED = re.compile("[<>&\u2028\u2029]")


def go_json(value: Any, indent: int | None = None) -> str:
    """Return a value as JSON; with ``indent``, on lines with so many blanks a level. Raises ``TemplateError``."""
    return _value(value, indent, 0)


def _value(value: Any, indent: int | None, level: int) -> str:
    if isinstance(value, Mapping):
        colon = ": " if indent else ":"
        items = [f"{_string(str(key))}{colon}{_value(value[key], indent, level + 1)}" for key in sorted(value)]
        return _enclosed("{", items, "}", indent, level)
    if isinstance(value, list | tuple):
        return _enclosed("[", [_value(item, indent, level + 1) for item in value], "]", indent, level)
    if isinstance(value, str):
        return _string(value)
    return _number(value) if isinstance(value, float) else json.dumps(value)


def _enclosed(opens: str, items: list[str], closes: str, indent: int | None, level: int) -> str:
    if not items or not indent:
        return opens + ",".join(items) + closes
    inner, outer = "\n" + " " * indent * (level + 1), "\n" + " " * indent * level
    return opens + inner + f",{inner}".join(items) + outer + closes


def _string(text: str) -> str:
    plain = _PAIR.sub(lambda found: _LONG.get(found[0], found[0]), json.dumps(text, ensure_ascii=False))
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", plain)


def _number(value: float) -> str:
    """As JavaScript writes numbers, which Go follows: an exponent below 1e-6 and from 1e21 on."""
    if not math.isfinite(value):
        raise TemplateError(f"{value} cannot be written as JSON")
    return shortest(value, -6, 21).replace("e-0", "e-")
