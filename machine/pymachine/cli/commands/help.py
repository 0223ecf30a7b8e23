"""``help``: all commands, or one."""

from __future__ import annotations

import click

from pymachine.cli.options import command
from pymachine.cli.output import say
from pymachine.errors import UsageFault


@command()
@click.argument("topic", required=False, metavar="[COMMAND]")
@click.pass_context
def help(ctx: click.Context, topic: str | None) -> None:
    """Show all commands, or the help of one."""
    parent = ctx.parent
    assert parent is not None
    assert isinstance(parent.command, click.Group)
    if topic is None:
        say(parent.get_help())
        return
    found = parent.command.get_command(parent, topic)
    if found is None:
        raise UsageFault(f"no command {topic!r}", hint=f"`{parent.command_path} --help` lists the commands")
    with click.Context(found, info_name=topic, parent=parent) as inner:
        say(found.get_help(inner))
