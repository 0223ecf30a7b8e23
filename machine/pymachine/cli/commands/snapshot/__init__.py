"""``snapshot``: states of a machine to go back to."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "create": "Keep the state of a machine; one that runs is kept with its memory.",
    "ls": "List what was kept of a machine, oldest first.",
    "restore": "Go back to a snapshot; what the machine holds now is lost.",
    "rm": "Forget snapshots of a machine; it stays as it is.",
}


@group(__name__, COMMANDS)
def snapshot() -> None:
    """Create, list, restore and remove snapshots of a machine."""
