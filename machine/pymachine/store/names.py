"""The order in which people expect names: node2 before node10. Pure."""

from __future__ import annotations

import re


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return the sort key of a name: runs of digits by their value, the rest without regard to case."""
    parts = re.split(r"([0-9]+)", name.lower())
    return tuple(int(part) if part.isdigit() else part for part in parts), name
