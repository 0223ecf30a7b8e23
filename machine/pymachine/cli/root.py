"""The command line proper: global options and the table of commands, each loaded when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from pymachine import __version__
from pymachine.cli.app import App
from pymachine.cli.dependencies import Wiring
from pymachine.cli.errors import conclude
from pymachine.cli.options import GLOBAL_OPTIONS, with_options
from pymachine.cli.quick import COMPLETION
from pymachine.override import override

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMPLETION_LIMIT = 45  # characters of a command's help beside its name: click's own limit

# Command → module of pymachine.cli.commands, where the function has the command's name; and the first sentence of its
# help, so that no command is loaded for a list of all.
COMMANDS = {
    "create": ("create", "Create a machine: a host whose Docker engine answers over TLS."),
    "adopt": ("adopt", "Adopt an existing instance that a driver can find."),
    "ls": ("ls", "List the machines and their states."),
    "env": ("env", "Print the environment for using a machine with the docker client."),
    "config": ("env", "Print the docker client's options: docker $(pymachine config NAME) ps."),
    "url": ("env", "Print the address of a machine's engine, for DOCKER_HOST."),
    "ip": ("env", "Print the addresses of machines, one per line."),
    "active": ("status", "Print the machine that this shell's docker client uses."),
    "status": ("status", "Print the state of a machine: Running, Stopped, Unreachable …"),
    "inspect": ("status", "Print the record of a machine as JSON."),
    "ssh": ("ssh", "Log in to a machine, or run a command there and return its exit code."),
    "scp": ("ssh", "Copy files to and from machines: NAME:PATH is remote, PATH or localhost:PATH is local."),
    "docker": ("ssh", "Run this computer's docker client against a machine: pymachine docker NAME ps."),
    "start": ("power", "Start machines and wait for their engines."),
    "stop": ("power", "Shut machines down gracefully."),
    "kill": ("power", "Power machines off immediately."),
    "restart": ("power", "Restart machines and wait for their engines."),
    "snapshot": ("snapshot", "Create, list, restore and remove snapshots of a machine."),
    "console": ("console", "Print the console output of a machine."),
    "resize": ("resize", "Change the size of stopped machines; it takes effect at the next start."),
    "clone": ("clone", "Create a machine as a copy of a stopped one."),
    "image": ("image", "Manage the images that virtual machines boot."),
    "provision": ("provision", "Configure the engines of machines again, with changed options if given."),
    "upgrade": ("provision", "Upgrade the engines of machines to the newest available or a given version."),
    "plan": ("plan", "Show what `apply` would change, and why."),
    "apply": ("apply", "Make a fleet match its inventory: machines, their Swarm, its stacks."),
    "destroy": (
        "apply",
        "Remove a fleet: its stacks, its workers, then its managers.",
    ),
    "drift": (
        "plan",
        "Show how hosts differ from the inventory: engines, their options, certificates, Swarm membership.",
    ),
    "fleet": ("fleet", "Show the status of an inventory's machines, and run commands on all of them."),
    "swarm": ("swarm", "Create and manage a Swarm of machines."),
    "init": (
        "inventory",
        "Write a starter inventory to FILE (pymachine.yaml by default), which must not exist yet.",
    ),
    "inventory": ("inventory", "Check, describe, export and create inventories: files that describe a fleet."),
    "rm": ("rm", "Remove machines: their set-up, what the driver created, and the record."),
    "gc": ("gc", "Find, and remove, leftovers in a cloud that no store knows."),
    "version": ("version", "Print the version of pymachine, or of a machine's engine."),
    "completion": ("version", "Print the completion script of a shell."),
    "help": ("version", "Show all commands, or the help of one."),
}
# Words of docker-machine and of neighbouring tools, and what does their job here.
ELSEWHERE = {
    "list": "`pymachine ls` lists the machines",
    "import": "`pymachine adopt -d DRIVER ID` takes over an instance, `pymachine create -d ssh` any host with SSH",
    "prune": "`pymachine gc -d DRIVER` finds leftovers in a cloud that no store knows",
    "remove": "`pymachine rm NAME` removes a machine",
    "delete": "`pymachine rm NAME` removes a machine",
    "use": 'a command cannot change your shell; evaluate its output: eval "$(pymachine env NAME)"',
    "regenerate-certs": "`pymachine provision NAME` renews certificates that expire soon, "
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
        module = import_module(f"pymachine.cli.commands.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without loading any."""
        limit = formatter.width - 6 - max(map(len, COMMANDS))
        with formatter.section("Commands"):
            formatter.write_dl([(name, _short(summary, limit)) for name, (_, summary) in COMMANDS.items()])

    @override
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands, without loading any, and the options."""
        from click.shell_completion import CompletionItem

        found = [name for name in COMMANDS if name.startswith(incomplete)]
        offered = [CompletionItem(name, help=_short(COMMANDS[name][1], COMPLETION_LIMIT)) for name in found]
        return offered + click.Command.shell_complete(self, ctx, incomplete)

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; say what comes near where there is none."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise _unknown(args[0])
        return super().resolve_command(ctx, args)


def _short(summary: str, limit: int) -> str:
    """Return a summary in at most ``limit`` characters, as click shortens that of a command."""
    return click.Command(None, help=summary).get_short_help_str(limit)


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
    """Create and maintain Docker hosts.

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


def interrupted() -> int:
    """Say that the command was interrupted, and return its exit code."""

    def interrupt() -> int:
        raise KeyboardInterrupt

    return conclude(App(Wiring()), interrupt)


def _invoke(words: list[str], app: App) -> int:
    """Do what click's ``main`` does, but leave every error to ``conclude``."""
    try:
        with pymachine.make_context("pymachine", words, obj=app) as ctx:
            code = pymachine.invoke(ctx)
    except click.exceptions.Exit as end:
        return end.exit_code
    return code if isinstance(code, int) else 0
