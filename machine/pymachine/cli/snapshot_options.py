"""Common parts of the snapshot commands: the names of the snapshot and the machine."""

from __future__ import annotations

import click

from pymachine.cli.app import App
from pymachine.cli.lookup import existing, unlock
from pymachine.errors import UsageFault

LABEL = click.argument("label", metavar="[SNAPSHOT]", required=False)


def needs_label(verb: str) -> UsageFault:
    """Return the error for a command without the snapshot's name."""
    return UsageFault(
        f"snapshot {verb} needs a machine and a snapshot", hint=f"pymachine snapshot {verb} NAME SNAPSHOT"
    )


def at_hand(app: App, name: str | None) -> str:
    """Return the machine's name as the store spells it; break its lock if requested."""
    (known,) = existing(app, [] if name is None else [name], careful=True)
    unlock(app, [known])
    return known
