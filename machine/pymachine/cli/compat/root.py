"""The commands of docker-machine: those that mean the same are ours, the others are in ``cli.compat.commands``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import click

from pymachine import __version__
from pymachine.cli.command_group import CommandGroup
from pymachine.cli.compat.app import PROGRAM, CompatApp
from pymachine.cli.compat.version_line import VERSION_LINE
from pymachine.cli.dependencies import Wiring
from pymachine.cli.errors import conclude
from pymachine.cli.options import GLOBAL_OPTIONS, with_options
from pymachine.errors import UsageFault
from pymachine.override import override

COMMANDS = {
    "active": "Print the machine that this shell's docker client uses.",
    "config": "Print the docker client's options for a machine, whose engine is asked first.",
    "create": "Create a machine: a host whose Docker engine answers over TLS.",
    "env": "Print the environment for using a machine with the docker client.",
    "inspect": "Print a machine as JSON, with the keys of docker-machine.",
    "ip": "Print the addresses of machines, one per line.",
    "kill": "Power machines off immediately.",
    "ls": "List the machines and their states.",
    "mount": "Mount a folder of a machine with sshfs, or unmount it.",
    "provision": "Configure the engines of machines again, with changed options if given.",
    "regenerate-certs": "Issue the certificates of machines again.",
    "restart": "Restart machines and wait for their engines.",
    "rm": "Remove machines.",
    "scp": "Copy files to and from machines: NAME:PATH is remote, PATH or localhost:PATH is local.",
    "ssh": "Log in to a machine, or run a command there and return its exit code.",
    "start": "Start machines and wait for their engines.",
    "status": "Print the state of a machine.",
    "stop": "Shut machines down gracefully.",
    "upgrade": "Upgrade the engines of machines to the newest available or a given version.",
    "url": "Print the address of a machine's engine, for DOCKER_HOST.",
    "version": "Print the version of docker-machine, or of a machine's engine.",
    "help": "Show all commands, or the help of one.",
}
OURS, THEIRS = "pymachine.cli.commands", "pymachine.cli.compat.commands"
# Commands of ours whose meaning, flags and output are what docker-machine's callers expect.
SHARED = frozenset({"help", "ip", "kill", "mount", "provision", "restart", "scp", "start", "stop"})


class CompatCommands(CommandGroup):
    """The commands of docker-machine."""

    @override
    def package_of(self, cmd_name: str) -> str:
        """Return the package with the module of one command."""
        return OURS if cmd_name in SHARED else super().package_of(cmd_name)

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and note it for the exit code. Raises ``UsageFault`` for an unknown one."""
        if args[0] not in self.summaries and not args[0].startswith("-"):
            raise _unknown(args[0])
        found = super().resolve_command(ctx, args)
        ctx.ensure_object(CompatApp).command = found[0] or ""
        return found


def _unknown(word: str) -> UsageFault:
    from pymachine.cli.root import COMMANDS as ALL

    hint = f"`pymachine {word}` is one" if word in ALL else f"`{PROGRAM} --help` lists the commands"
    return UsageFault(f"{word!r} is not a {PROGRAM} command", hint=hint)


def _keep_authority(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(CompatApp).authority[param.opts[0]] = value


def _keep_native(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.ensure_object(CompatApp).native_ssh = value


AUTHORITY: Mapping[str, str] = MappingProxyType({
    "--tls-ca-cert": "CA certificate of an engine that is there already, for `create -d none`.",
    "--tls-ca-key": "Not used: each machine has an authority of its own.",
    "--tls-client-cert": "Client certificate of an engine that is there already, for `create -d none`.",
    "--tls-client-key": "Client key of an engine that is there already, for `create -d none`.",
})  # fmt: skip


@click.group(
    PROGRAM,
    cls=CompatCommands,
    package=THEIRS,
    summaries=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@with_options(GLOBAL_OPTIONS)
@with_options(
    [
        click.option(flag, metavar="FILE", expose_value=False, callback=_keep_authority, help=text)
        for flag, text in AUTHORITY.items()
    ]
)
@click.option(
    "--native-ssh", is_flag=True, expose_value=False, callback=_keep_native, envvar="MACHINE_NATIVE_SSH",
    help="Use the built-in SSH client.  [env: MACHINE_NATIVE_SSH]",
)  # fmt: skip
@click.option(
    "--github-api-token", metavar="TOKEN", expose_value=False, help="No effect: nothing is asked of GitHub."
)
@click.option("--bugsnag-api-token", metavar="TOKEN", expose_value=False, help="No effect: nothing is reported.")
@click.version_option(__version__, "-v", "--version", message=VERSION_LINE)
@click.pass_context
def root(ctx: click.Context) -> None:
    """Create and maintain Docker hosts, with the command line of docker-machine."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(words: Sequence[str], started: str, wiring: Wiring | None) -> int:
    """Run a command line and return its exit code."""
    app = CompatApp(wiring or Wiring(), started)
    return conclude(app, lambda: root.run(PROGRAM, list(words), app))
