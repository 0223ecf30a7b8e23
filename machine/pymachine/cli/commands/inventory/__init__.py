"""``inventory``: files that describe a fleet."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "check": "Show how an inventory is understood, or all its errors.",
    "export": "Print an inventory for Ansible or ssh, or as JSON with every range expanded.",
    "import": "Print an inventory of given hosts or of a docker-machine store; `pymachine init` writes it to a file.",
    "schema": "Print the JSON Schema of inventories, including the installed drivers, for editors.",
}


@group(__name__, COMMANDS)
def inventory() -> None:
    """Check, describe, export and create inventories: files that describe a fleet."""
