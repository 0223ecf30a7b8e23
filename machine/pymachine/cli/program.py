"""The command line proper: global options and the table of commands, each loaded when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import click

from pymachine import __version__
from pymachine.cli.app import App
from pymachine.cli.outcome import conclude
from pymachine.cli.params import GLOBAL_OPTIONS, with_options
from pymachine.cli.wiring import Wiring
from pymachine.overriding import override

COMPLETION = "_PYMACHINE_COMPLETE"

# Command → module of pymachine.cli.commands; the function has the command's name.
COMMANDS = {
    "create": "create",
    "adopt": "adopting",
    "ls": "listing",
    "env": "addressing",
    "config": "addressing",
    "url": "addressing",
    "ip": "addressing",
    "active": "looking",
    "status": "looking",
    "inspect": "looking",
    "ssh": "remote",
    "scp": "remote",
    "docker": "remote",
    "start": "power",
    "stop": "power",
    "kill": "power",
    "restart": "power",
    "snapshot": "snapshot",
    "console": "console",
    "resize": "resize",
    "clone": "clone",
    "image": "image",
    "provision": "setting_up",
    "upgrade": "setting_up",
    "plan": "planning",
    "apply": "applying",
    "destroy": "applying",
    "drift": "planning",
    "fleet": "fleet",
    "swarm": "swarm",
    "init": "inventory",
    "inventory": "inventory",
    "rm": "removing",
    "gc": "collecting",
    "version": "about",
    "completion": "about",
    "help": "about",
}
# Words of docker-machine and of neighbouring tools, and what does their job here.
ELSEWHERE = {
    "list": "`pymachine ls` lists the machines",
    "import": "`pymachine adopt -d DRIVER ID` takes over an instance, `pymachine create -d ssh` any host with SSH",
    "prune": "`pymachine gc -d DRIVER` finds what is left in a cloud of machines that nobody knows",
    "remove": "`pymachine rm NAME` removes a machine",
    "delete": "`pymachine rm NAME` removes a machine",
    "use": 'a command cannot change your shell; evaluate its output: eval "$(pymachine env NAME)"',
    "regenerate-certs": "`pymachine provision NAME` renews certificates that are about to end, "
    "with --new-certificates all of them",
    "mount": "use sshfs with the address that `pymachine ip NAME` prints",
}


class Commands(click.Group):
    """The commands in the order of a machine's life, loaded one by one."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"pymachine.cli.commands.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; say what comes near where there is none."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise _unknown(args[0])
        return super().resolve_command(ctx, args)


def _unknown(word: str) -> Exception:
    import difflib

    from pymachine.errors import UsageFault

    near = difflib.get_close_matches(word, COMMANDS, n=1)
    hint = ELSEWHERE.get(word) or (f"did you mean {near[0]}?" if near else "`pymachine --help` lists the commands")
    return UsageFault(f"no command {word!r}", hint=hint)


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@with_options(GLOBAL_OPTIONS)
@click.version_option(__version__, "-v", "--version", message="pymachine %(version)s")
@click.pass_context
def pymachine(ctx: click.Context) -> None:
    """Make Docker hosts, and keep them usable.

    A name and a driver become a host whose Docker engine answers over TLS.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(words: Sequence[str], wiring: Wiring | None) -> int:
    """Run a command line and return its exit code."""
    app = App(wiring or Wiring())
    instruction = app.environ.get(COMPLETION)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(pymachine, {"obj": app}, "pymachine", COMPLETION, instruction)
    return conclude(app, lambda: _invoke(list(words), app))


def _invoke(words: list[str], app: App) -> int:
    """Do what click's ``main`` does, but leave every error to ``conclude``."""
    try:
        with pymachine.make_context("pymachine", words, obj=app) as ctx:
            code = pymachine.invoke(ctx)
    except click.exceptions.Exit as end:
        return end.exit_code
    return code if isinstance(code, int) else 0
