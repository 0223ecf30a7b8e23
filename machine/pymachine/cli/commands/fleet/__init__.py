"""``fleet``: many machines, looked at and spoken to together."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "docker": "Run the docker client against machines of a fleet: pymachine fleet docker -- ps.",
    "run": "Run a command on machines of a fleet over SSH: pymachine fleet run -- uptime.",
    "status": "List the machines of a fleet: how they are, their engines, their places in the Swarm, the services "
    "there.",
}


@group(__name__, COMMANDS)
def fleet() -> None:
    """Show the status of an inventory's machines, and run commands on all of them."""
