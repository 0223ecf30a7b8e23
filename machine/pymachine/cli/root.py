"""The full command line: global options and the table of commands, each loaded when it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from pymachine import __version__
from pymachine.cli import added_commands
from pymachine.cli.app import App
from pymachine.cli.command_group import CommandGroup, write_commands
from pymachine.cli.dependencies import Wiring
from pymachine.cli.errors import conclude
from pymachine.cli.options import GLOBAL_OPTIONS, with_options
from pymachine.cli.quick import COMPLETION
from pymachine.override import override

# In the order of a machine's life.
COMMANDS = {
    "create": "Create a machine: a host whose Docker engine answers over TLS.",
    "adopt": "Adopt an existing instance that a driver can find.",
    "attach": "Take a host that was set up from another computer into this store as well.",
    "import": "Import machines of an export, or of a docker-machine store.",
    "export": "Write a file that gives another person or computer access to machines.",
    "ls": "List the machines and their states.",
    "env": "Print the environment for using a machine with the docker client.",
    "config": "Print the docker client's options: docker $(pymachine config NAME) ps.",
    "url": "Print the address of a machine's engine, for DOCKER_HOST.",
    "ip": "Print the addresses of machines, one per line.",
    "active": "Print the machine that this shell's docker client uses.",
    "status": "Print the state of a machine: Running, Stopped, Unreachable …",
    "inspect": "Print the record of a machine as JSON.",
    "ssh": "Log in to a machine, or run a command there and return its exit code.",
    "scp": "Copy files to and from machines: NAME:PATH is remote, PATH or localhost:PATH is local.",
    "ssh-config": "Print entries by which ssh, scp, rsync and editors reach machines, or keep them in a file.",
    "use": "Have the docker client use a machine, in all shells: the short form of `context use`.",
    "context": "Make, use and remove docker contexts for machines.",
    "mount": "Mount a folder of a machine with sshfs, or unmount it.",
    "docker": "Run this computer's docker client against a machine: pymachine docker NAME ps.",
    "start": "Start machines and wait for their engines.",
    "stop": "Shut machines down gracefully.",
    "kill": "Power machines off immediately.",
    "restart": "Restart machines and wait for their engines.",
    "snapshot": "Create, list, restore and remove snapshots of a machine.",
    "console": "Print the console output of a machine.",
    "resize": "Change the size of stopped machines; it takes effect at the next start.",
    "clone": "Create a machine as a copy of a stopped one.",
    "provision": "Configure the engines of machines again, with changed options if given.",
    "upgrade": "Upgrade the engines of machines to the newest available or a given version.",
    "plan": "Show what `apply` would change, and why.",
    "apply": "Make a fleet match its inventory: machines, their Swarm, its stacks.",
    "destroy": "Remove a fleet: its stacks, its workers, then its managers.",
    "drift": "Show how hosts differ from the inventory: engines, their options, certificates, Swarm membership.",
    "fleet": "Show the status of an inventory's machines, and run commands on all of them.",
    "swarm": "Create and manage a Swarm of machines.",
    "init": "Write a starter inventory to FILE (pymachine.yaml by default), which must not exist yet.",
    "inventory": "Check, describe, export and create inventories: files that describe a fleet.",
    "doctor": "Examine this computer and machines, and print what mends each fault.",
    "rm": "Remove machines: their set-up, what the driver created, and the record.",
    "gc": "Find and remove cloud resources that no store knows.",
    "compat": "Let callers of docker-machine work with pymachine.",
    "version": "Print the version of pymachine, or of a machine's engine.",
    "completion": "Print the completion script of a shell.",
    "help": "Show all commands, or the help of one.",
}
# Words of docker-machine and of neighbouring tools, and what does their job here.
ELSEWHERE = {
    "list": "`pymachine ls` lists the machines",
    "prune": "`pymachine gc -d DRIVER` finds cloud resources that no store knows",
    "remove": "`pymachine rm NAME` removes a machine",
    "delete": "`pymachine rm NAME` removes a machine",
    "regenerate-certs": "`pymachine provision NAME` renews certificates that expire soon, "
    "with --new-certificates all of them",
}


class Commands(CommandGroup):
    """All commands: ours, then those that drivers add; a word that is none of them is told what comes near.

    Entry points are looked for where a word is not a command of ours, and for a list of all commands.
    """

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, ours first."""
        return [*super().list_commands(ctx), *added_commands.names(besides=COMMANDS)]

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command. Raises ``CommandMissing`` for one that a driver adds and that is broken."""
        ours = super().get_command(ctx, cmd_name)
        if ours is not None:
            return ours
        return added_commands.find(cmd_name) if ctx.resilient_parsing else added_commands.load(cmd_name)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of our commands, and of those that drivers add."""
        super().format_commands(ctx, formatter)
        added = added_commands.summaries(besides=COMMANDS)
        if added:
            write_commands(formatter, "Commands of drivers", added)

    @override
    def summaries_of(self, start: str) -> Mapping[str, str]:
        """Return the commands whose names begin like this, with the first sentence of their helps."""
        return {**super().summaries_of(start), **added_commands.summaries(start, besides=COMMANDS)}

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; suggest a similar one if it does not exist."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            added = added_commands.names(besides=COMMANDS)
            if args[0] not in added:
                raise _unknown(args[0], [*COMMANDS, *added])
        return super().resolve_command(ctx, args)


def _unknown(word: str, known: Sequence[str]) -> Exception:
    import difflib

    from pymachine.errors import UsageFault

    near = difflib.get_close_matches(word, known, n=1)
    hint = ELSEWHERE.get(word) or (f"did you mean {near[0]}?" if near else "`pymachine --help` lists the commands")
    return UsageFault(f"no command {word!r}", hint=hint)


@click.group(
    cls=Commands,
    package="pymachine.cli.commands",
    summaries=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@with_options(GLOBAL_OPTIONS)
@click.version_option(__version__, "-v", "--version", message="pymachine %(version)s")
@click.pass_context
def pymachine(ctx: click.Context) -> None:
    """Create and maintain Docker hosts.

    A machine is a host, made or found by a driver, whose Docker engine answers over TLS.
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
    return conclude(app, lambda: pymachine.run("pymachine", list(words), app))


def interrupted() -> int:
    """Print that the command was interrupted, and return its exit code."""

    def interrupt() -> int:
        raise KeyboardInterrupt

    return conclude(App(Wiring()), interrupt)
