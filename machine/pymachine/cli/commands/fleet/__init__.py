"""``fleet``: status of a fleet's machines, and commands on all of them."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "docker": "Run the docker client against machines of a fleet: pymachine fleet docker -- ps.",
    "run": "Run a command on machines of a fleet over SSH: pymachine fleet run -- uptime.",
    "status": "List the machines of a fleet: state, engine and Swarm role, and the replicas of services.",
}


@group(__name__, COMMANDS)
def fleet() -> None:
    """Show the status of an inventory's machines, and run commands on all of them."""
