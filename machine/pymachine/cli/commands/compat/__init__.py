"""``compat``: what lets callers of docker-machine work with pymachine."""

from __future__ import annotations

from pymachine.cli.command_group import group

COMMANDS = {
    "install": "Install a program named docker-machine, which runs pymachine with docker-machine's command line.",
    "remove": "Remove the docker-machine that `install` wrote, and no other.",
    "view": "Keep docker-machine's files for programs that read them, such as GitLab Runner.",
}


@group(__name__, COMMANDS)
def compat() -> None:
    """Let callers of docker-machine work with pymachine."""
