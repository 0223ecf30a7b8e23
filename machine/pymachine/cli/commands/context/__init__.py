"""``context``: contexts of the docker client for machines."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "sync": "Make a docker context for each machine, and remove those of machines that are gone.",
    "use": "Make a machine's context the default of the docker client.",
    "rm": "Remove the docker contexts of machines.",
}


@group(__name__, COMMANDS)
def context() -> None:
    """Make, use and remove docker contexts for machines."""
