"""Expands braces: ``web-{01..20}`` and ``{a,b}`` are several texts in one. Pure.

The braces of a text are expanded as a shell does, each item of the first with each of the second; a range with a
leading zero keeps its width. In step: a text in an entry of n machines has no braces or expands to n texts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from itertools import product

from pymachine.errors import ValueFault
from pymachine.fleet.inventory.yaml_nodes import Items, Scalar, Table, Value

LIMIT = 10_000  # texts that one may come to

_BRACES = re.compile(
    r"(?<!\{)\{(?:(?P<first>[0-9]+)\.\.(?P<last>[0-9]+)|(?P<items>[A-Za-z0-9._-]*(?:,[A-Za-z0-9._-]*)+))\}(?!\})"
)


def has_braces(text: str) -> bool:
    """Whether a text expands to several."""
    return "{" in text and _BRACES.search(text) is not None


@lru_cache(maxsize=4096)
def expanded(text: str) -> tuple[str, ...]:
    """Return the texts that one comes to, itself alone without braces. Raises ``ValueFault``."""
    parts: list[list[str]] = []
    end = 0
    for match in _BRACES.finditer(text):
        parts += [[text[end : match.start()]], _items(match)]
        end = match.end()
    count = 1
    for part in parts:
        count *= len(part)
    if count > LIMIT:
        raise ValueFault(text, f"expands to {count} values", hint=f"{LIMIT} are allowed")
    return tuple("".join(chosen) for chosen in product(*parts, [text[end:]]))


def _items(match: re.Match[str]) -> list[str]:
    if match["items"] is not None:
        return match["items"].split(",")
    first, last = match["first"], match["last"]
    start, stop = int(first), int(last)
    if start > stop:
        raise ValueFault(None, f"{match[0]} goes backwards", hint=f"write {{{last}..{first}}}")
    if stop - start >= LIMIT:
        raise ValueFault(None, f"{match[0]} has {stop - start + 1} items", hint=f"{LIMIT} are allowed")
    padded = (first.startswith("0") and len(first) > 1) or (last.startswith("0") and len(last) > 1)
    width = max(len(first), len(last)) if padded else 0
    return [str(number).zfill(width) for number in range(start, stop + 1)]


def braced(value: Value, *, but: str) -> list[Scalar]:
    """Return the scalars with braces in a value, except under keys named ``but``."""
    if isinstance(value, Scalar):
        return [value] if has_braces(value.text) else []
    if isinstance(value, Items):
        return [found for item in value.items for found in braced(item, but=but)]
    return [found for key, item in value.cells.items() if key != but for found in braced(item, but=but)]


def member(value: Value, number: int, *, but: str) -> Value:
    """Return a value for the ``number``-th machine of its entry; the same object if nothing differs."""
    if isinstance(value, Scalar):
        texts = expanded(value.text) if has_braces(value.text) else ()
        return replace(value, text=texts[number]) if number < len(texts) else value
    if isinstance(value, Items):
        items = tuple(member(item, number, but=but) for item in value.items)
        same = all(new is old for new, old in zip(items, value.items, strict=True))
        return value if same else replace(value, items=items)
    cells = {key: item if key == but else member(item, number, but=but) for key, item in value.cells.items()}
    return value if all(cells[key] is value.cells[key] for key in cells) else Table(cells, value.keys, value.spot)
