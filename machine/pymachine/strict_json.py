"""JSON of other people, read so that a hostile text is one kind of error. Loads ``json`` alone, for fast commands."""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEPTH = 100  # levels; the /info of an engine has six, a record four


def parse_json(text: "str | bytes") -> "Any":
    """Return the value of a JSON text.

    Raises ``ValueError`` for what is not JSON, and for what would fail later, elsewhere: text that is not UTF-8 or
    holds half a surrogate pair, ``NaN``, more than ``DEPTH`` levels, numbers of more than 4,300 digits or over 1e308.
    """
    # Encoding finds bytes that are not UTF-8, which a file opened for names or a database may have let through.
    raw = text.encode() if isinstance(text, str) else text
    try:
        value = json.loads(raw.decode(), parse_constant=_refused, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if raw.count(b"[") + raw.count(b"{") > DEPTH and _depth_of(value) > DEPTH:
        raise ValueError(f"it is nested more than {DEPTH} levels deep")
    if b"\\u" in raw:
        # Half a pair can be written in JSON, but neither be printed nor stored: encoding finds it.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _refused(name: str) -> "Any":
    raise ValueError(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    """Return the number; ``1e999`` would become an infinity, which no JSON can be made of."""
    number = float(text)
    if number - number != 0:
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _depth_of(value: "Any") -> int:
    """Return how many levels there are, level by level: a recursion could be made to fail."""
    level, depth = [value], 0
    while level:
        depth += 1
        level = [part for item in level if isinstance(item, dict | list) for part in _parts(item)]
    return depth


def _parts(item: "dict[str, Any] | list[Any]") -> "list[Any]":
    return list(item.values()) if isinstance(item, dict) else item
