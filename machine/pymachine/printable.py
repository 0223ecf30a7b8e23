"""Escapes text for a terminal, a log or a table, so that control characters are shown and have no effect.

Engine versions, HTTP bodies, standard error of remote programs, os-release and labels come from others. All output
passes through here.
"""

from __future__ import annotations

import re
from typing import Any

# C0 but tab and line feed, DEL, C1; line and paragraph separators; marks and overrides of writing direction
# (UAX #9); surrogates but those that stand for bytes of a file name (PEP 383), unless the byte is one of C1.
_ORDERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udc9f\udd00-\udfff]"
)
# JSON is UTF-8, which has no surrogates at all.
_NOT_IN_JSON = re.compile(f"{_ORDERS.pattern}|[\udca0-\udcff]")
_UNINDENTED = re.compile(r"\n(?!  )")


def printable(text: str) -> str:
    """Return the text with control characters escaped (``\\x1b``, ``\\u202e``); lines and tabs stay."""
    return _ORDERS.sub(_written_out, text)


def one_line(text: str) -> str:
    """Return the text as ``printable`` does, with line ends escaped too."""
    return printable(text).replace("\n", "\\n")


def hanging(text: str) -> str:
    """Return the text as ``printable`` does, with each line after the first indented by at least two columns.

    So a foreign line cannot be mistaken for one of pymachine's, which begin in the first column.
    """
    return _UNINDENTED.sub("\n  ", printable(text))


def printable_json(text: str) -> str:
    """Return JSON text with the same characters as JSON escapes, which keeps its meaning."""
    return _NOT_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def printable_yaml(value: Any, *, width: int = 80) -> str:
    """Return a value as a YAML document, with the same characters as YAML escapes, which keeps its meaning."""
    import yaml

    plain = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=width)
    if not _ORDERS.search(plain):
        return plain
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=width)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
