"""``swarm``: create and maintain a Swarm of existing machines."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "activate": "Let nodes run tasks again.",
    "create": "Create a Swarm with these machines as managers; the first one initialises it.",
    "demote": "Demote managers to workers, one after another, while the others are a majority.",
    "drain": "Drain nodes, and wait until their tasks have stopped.",
    "join": "Join machines to a Swarm; nodes that are in it already are recorded.",
    "label": "Set labels of a node, for placement constraints; KEY- removes one.",
    "leave": "Have machines leave their Swarm: workers first, then managers one after another.",
    "promote": "Promote workers to managers, one after another.",
    "recover": "Recover a Swarm that has permanently lost the majority of its managers.",
    "rotate": "Replace keys of a Swarm; the previous ones stop working.",
    "status": "Show a Swarm: its nodes, its quorum, and missing machines.",
    "unlock": "Unlock managers after a restart, with the key in the store; without NAME, all locked ones.",
    "upgrade": "Upgrade the engines of a Swarm, node by node.",
}


@group(__name__, COMMANDS)
def swarm() -> None:
    """Create and manage a Swarm of machines."""
