"""Command groups that find commands by name: command ``x`` is function ``x`` of module ``x`` in their package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.go_flags import spelled
from pymachine.override import override

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from pymachine.cli.app import App

COMPLETION_LIMIT = 45  # characters of a command's help beside its name: click's own limit


class CommandGroup(click.Group):
    """A group whose commands are modules of one package, imported when they are called.

    ``summaries`` has the name of each command and the first sentence of its help, so that a list of all commands
    imports none. If the name is a Python keyword, such as import, the command is ``import_`` of module ``import_``; a
    hyphen is an underscore there.
    """

    def __init__(self, *arguments: Any, package: str, summaries: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.package = package
        self.summaries = summaries

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the flags before the command as click reads them, then parse."""
        return super().parse_args(ctx, spelled(ctx, self.get_params(ctx), args))

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of ``summaries``."""
        return list(self.summaries)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in self.summaries:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name.replace("-", "_")
        command = getattr(import_module(f"{self.package_of(cmd_name)}.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def package_of(self, cmd_name: str) -> str:
        """Return the package with the module of one command."""
        return self.package

    def run(self, program: str, words: list[str], app: App) -> int:
        """Do what click's ``main`` does, but leave all errors to the caller; return the exit code."""
        try:
            with self.make_context(program, words, obj=app) as ctx:
                code = self.invoke(ctx)
        except click.exceptions.Exit as end:
            return end.exit_code
        return code if isinstance(code, int) else 0

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing any."""
        write_commands(formatter, "Commands", self.summaries)

    @override
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, without importing any, and options."""
        from click.shell_completion import CompletionItem

        begun = self.summaries_of(incomplete).items()
        offered = [CompletionItem(name, help=_short(summary, COMPLETION_LIMIT)) for name, summary in begun]
        return offered + click.Command.shell_complete(self, ctx, incomplete)

    def summaries_of(self, start: str) -> Mapping[str, str]:
        """Return the commands whose names begin like this, with the first sentence of their helps."""
        return {name: summary for name, summary in self.summaries.items() if name.startswith(start)}


def group(package: str, summaries: Mapping[str, str]) -> Callable[[Callable[[], None]], CommandGroup]:
    """Return a decorator that turns a function into a group with its name and docstring.

    Without a command it prints its help.
    """
    context = {"help_option_names": ["-h", "--help"]}

    def decorate(function: Callable[[], None]) -> CommandGroup:
        @click.pass_context
        def help_alone(ctx: click.Context) -> None:
            if ctx.invoked_subcommand is None:
                click.echo(ctx.get_help())

        return CommandGroup(
            function.__name__, callback=help_alone, help=function.__doc__, invoke_without_command=True,
            context_settings=context, package=package, summaries=summaries,
        )  # fmt: skip

    return decorate


def write_commands(formatter: click.HelpFormatter, title: str, summaries: Mapping[str, str]) -> None:
    """Write a section of commands, each with as much of its summary as there is room for."""
    limit = formatter.width - 6 - max(map(len, summaries))
    with formatter.section(title):
        formatter.write_dl([(name, _short(summary, limit)) for name, summary in summaries.items()])


def _short(summary: str, limit: int) -> str:
    """Return a summary of at most ``limit`` characters, shortened as click does it for a command."""
    return click.Command(None, help=summary).get_short_help_str(limit)
