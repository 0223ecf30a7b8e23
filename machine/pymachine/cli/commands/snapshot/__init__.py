"""``snapshot``: saved states of a machine."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "create": "Save the state of a machine; if it runs, with its memory.",
    "ls": "List the snapshots of a machine, oldest first.",
    "restore": "Restore a snapshot; the current state of the machine is lost.",
    "rm": "Delete snapshots of a machine; the machine does not change.",
}


@group(__name__, COMMANDS)
def snapshot() -> None:
    """Create, list, restore and remove snapshots of a machine."""
