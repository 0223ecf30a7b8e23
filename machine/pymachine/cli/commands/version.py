"""``version``, ``completion``, ``help``: the program itself."""

from __future__ import annotations

import click

from pymachine import __version__
from pymachine.cli.app import App
from pymachine.cli.lookup import ready
from pymachine.cli.options import JSON, command, complete_names
from pymachine.cli.output import dump, say
from pymachine.errors import NotSupported, UsageFault
from pymachine.store.client_files import materialised

ASK_DEADLINE = 20.0
SHELLS = ("bash", "zsh", "fish", "powershell")
VARIABLE = "_PYMACHINE_COMPLETE"


@command()
@JSON
@click.argument("name", required=False, shell_complete=complete_names)
@click.pass_obj
def version(app: App, name: str | None, as_json: bool) -> None:
    """Print the version of pymachine, or of a machine's engine."""
    if name is None:
        dump({"pymachine": __version__}) if as_json else say(f"pymachine {__version__}")
        return
    machine = ready(app, name)
    assert machine.endpoint is not None
    answer = app.ask_engine(machine.endpoint, materialised(app.store, machine.name), deadline=ASK_DEADLINE)
    dump({"name": machine.name, "engine": answer.version}) if as_json else say(answer.version)


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


@command()
@click.argument("topic", required=False, metavar="[COMMAND]")
@click.pass_context
def help(ctx: click.Context, topic: str | None) -> None:
    """Show all commands, or the help of one."""
    from pymachine.cli.root import pymachine

    parent = ctx.parent
    assert parent is not None
    if topic is None:
        say(parent.get_help())
        return
    found = pymachine.get_command(parent, topic)
    if found is None:
        raise UsageFault(f"no command {topic!r}", hint="`pymachine --help` lists the commands")
    with click.Context(found, info_name=topic, parent=parent) as inner:
        say(found.get_help(inner))
