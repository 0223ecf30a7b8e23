"""Commands that driver packages add, through entry points of the group ``pymachine.commands``."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

import click

from pymachine.errors import CommandMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

BROKEN = "(cannot be loaded; run it to see why)"


def names(*, besides: Container[str]) -> list[str]:
    """Return the names of the commands that are added, without importing any; ``besides`` are ours, which win.

    Raises ``CommandMissing`` if the entry points cannot be read.
    """
    # Looking for entry points costs as much as click does, and few commands need it.
    from pymachine import registry

    return [name for name in registry.command_names() if name not in besides]


def load(name: str) -> click.Command | None:
    """Import and return the command of that name, or None where no package adds it. Raises ``CommandMissing``."""
    from pymachine import registry

    return registry.load_command(name, click.Command)


def find(name: str) -> click.Command | None:
    """Return the same, and None as well for a command that is broken."""
    try:
        return load(name)
    except CommandMissing:
        return None


def summaries(start: str = "", *, besides: Container[str]) -> Mapping[str, str]:
    """Return the added commands whose names begin like this, with the first sentence of their helps.

    Imports them. One that is broken keeps its place and takes no other's; if none can be found out there is none.
    """
    try:
        found = {name: find(name) for name in names(besides=besides) if name.startswith(start)}
    except CommandMissing:
        return {}
    return {
        name: command.get_short_help_str(1000) if command else BROKEN
        for name, command in found.items()
        if command is None or not command.hidden
    }
