"""``swarm``: machines that exist, made one Swarm by hand."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "activate": "Have nodes run tasks again.",
    "create": "Make a Swarm of machines: these as its managers, the first of them first.",
    "demote": "Make managers workers, one after another, as long as the rest are a majority.",
    "drain": "Have nodes run no tasks, and wait until they do not.",
    "join": "Make machines nodes of a Swarm; those that are take their place in it on record.",
    "label": "Set labels of a node, for placement constraints; KEY- takes one off.",
    "leave": "Take machines out of their Swarm: workers first, then managers one after another.",
    "promote": "Make workers managers, one after another.",
    "recover": "Recover a Swarm whose managers lost their majority for good: one continues alone, the others rejoin.",
    "rotate": "Replace keys of a Swarm; the previous ones stop working.",
    "status": "Show a Swarm: its nodes, whether its managers are a majority, and which machines are missing.",
    "unlock": "Unlock managers that restarted, with the key in the store; all that are locked where none is named.",
    "upgrade": "Upgrade the engines of a Swarm: managers one by one, the leader last, then workers; each drained "
    "meanwhile.",
}


@group(__name__, COMMANDS)
def swarm() -> None:
    """Create and manage a Swarm of machines."""
