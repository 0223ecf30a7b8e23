"""``completion``: print the completion script of a shell."""

from __future__ import annotations

import click

from pymachine.cli.options import command
from pymachine.cli.output import say
from pymachine.errors import NotSupported

SHELLS = ("bash", "zsh", "fish", "powershell")
VARIABLE = "_PYMACHINE_COMPLETE"


@command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    bash and zsh: eval "$(pymachine completion bash)"; fish: pymachine completion fish | source
    """
    from click.shell_completion import get_completion_class

    from pymachine.cli.root import pymachine

    kind = get_completion_class(shell)
    if kind is None:
        raise NotSupported(f"this version of click has no completion for {shell}", hint="pip install 'click>=8.5'")
    say(kind(pymachine, {}, "pymachine", VARIABLE).source())
