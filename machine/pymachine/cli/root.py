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
    "create": ("create", "Make a machine: a host whose Docker engine answers over TLS."),
    "adopt": ("adopt", "Take over an instance that a driver can find, and did not make."),
    "ls": ("ls", "List the machines and how they are."),
    "env": ("env", "Print what points the docker client at a machine."),
    "config": ("env", "Print the docker client's options: docker $(pymachine config NAME) ps."),
    "url": ("env", "Print the address of a machine's engine, for DOCKER_HOST."),
    "ip": ("env", "Print the addresses at which machines are reached, one a line."),
    "active": ("status", "Print the machine that the docker client of this shell speaks to."),
    "status": ("status", "Print the state of a machine: Running, Stopped, Unreachable …"),
    "inspect": ("status", "Print what is on record of a machine, as JSON."),
    "ssh": ("ssh", "Log in to a machine, or run a command there and end with its exit code."),
    "scp": ("ssh", "Copy files between here and machines: NAME:PATH there, PATH or localhost:PATH here."),
    "docker": ("ssh", "Run the docker client of this computer against a machine: pymachine docker NAME ps."),
    "start": ("power", "Switch machines on and wait for their engines."),
    "stop": ("power", "Shut machines down in order."),
    "kill": ("power", "Cut the power of machines."),
    "restart": ("power", "Restart machines and wait for their engines."),
    "snapshot": ("snapshot", "Keep states of a machine, and go back to them."),
    "console": ("console", "Print what a machine has printed on its console."),
    "resize": ("resize", "Change the size of machines that are switched off; they have it from the next start on."),
    "clone": ("clone", "Make a machine as a copy of one that is switched off."),
    "image": ("image", "Keep images that virtual machines boot."),
    "provision": ("provision", "Set the engine of machines up again, with options changed where they are given."),
    "upgrade": ("provision", "Upgrade the engines of machines, to the newest their source offers or to a version."),
    "plan": ("plan", "Say what `apply` would change, and why."),
    "apply": ("apply", "Bring a fleet to what its inventory says: machines, their Swarm, its stacks."),
    "destroy": (
        "apply",
        "Remove the machines of a fleet: its stacks, its workers, its managers, the last one last.",
    ),
    "drift": (
        "plan",
        "Say what on the hosts differs from the inventory: engines, their options, certificates, places "
        "in the Swarm.",
    ),
    "fleet": ("fleet", "Look at the machines of an inventory together, and run commands on all of them."),
    "swarm": ("swarm", "Make machines one Swarm, and look after it."),
    "init": (
        "inventory",
        "Write an inventory to begin with: FILE, pymachine.yaml unless given, which must not be there yet.",
    ),
    "inventory": ("inventory", "Check, describe, export and make inventories: files that say what a fleet is to be."),
    "rm": ("rm", "Remove machines: what create put there, what the driver made, and the record."),
    "gc": ("gc", "Find what is left in a cloud of machines that no store knows, and remove it."),
    "version": ("version", "Print the version of pymachine, or of a machine's engine."),
    "completion": ("version", "Print the completion script of a shell."),
    "help": ("version", "Show all commands, or what one takes."),
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
