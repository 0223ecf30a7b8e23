"""``inventory``: files that describe a fleet."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "check": "Say how an inventory is understood, or everything that is wrong with it.",
    "export": "Print an inventory for Ansible or ssh, or as JSON with every range expanded.",
    "import": "Print an inventory made of hosts or of a docker-machine store; `pymachine init` writes it to a file.",
    "schema": "Print the JSON Schema of inventories, with the drivers that are installed; editors complete by it.",
}


@group(__name__, COMMANDS)
def inventory() -> None:
    """Check, describe, export and create inventories: files that describe a fleet."""
