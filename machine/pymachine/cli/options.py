"""Options and arguments shared by several commands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pymachine.cli.app import App
from pymachine.cli.go_flags import FlagCommand
from pymachine.override import override

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.ensure_object(App).log_to_stderr()


def _set_storage(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(App).storage = value


def _set_progress(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(App).progress = value


def _set_json(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    ctx.ensure_object(App).as_json = value
    return value


def _set_force_unlock(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(App).force_unlock = True


# Before the command or among its own options, whichever way it is typed. Eager: they count while the rest is read.
GLOBAL_OPTIONS: Sequence[Decorator] = (
    click.option(
        "-D", "--debug", is_flag=True, expose_value=False, is_eager=True, callback=_set_debug, envvar="MACHINE_DEBUG",
        help="Log to standard error, with tracebacks.  [env: MACHINE_DEBUG]",
    ),
    click.option(
        "-s", "--storage-path", metavar="FOLDER", expose_value=False, is_eager=True, callback=_set_storage,
        help="Folder of the machine store.  [env: MACHINE_STORAGE_PATH]",
    ),
    click.option(
        "--progress", type=click.Choice(["auto", "plain", "json", "none"]), expose_value=False, is_eager=True,
        callback=_set_progress, help="Progress display on standard error.",
    ),
)  # fmt: skip


def with_options(options: Sequence[Decorator]) -> Callable[[F], F]:
    """Return a decorator that adds these options, shown in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def command(
    kind: type[click.Command] = FlagCommand, **settings: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Return a decorator that turns a function into a command with its name, the global options and -h.

    ``settings`` are for click's context.
    """
    context = {"help_option_names": ["-h", "--help"], **settings}

    def decorate(function: Callable[..., Any]) -> click.Command:
        name = function.__name__.rstrip("_").replace("_", "-")
        made = click.command(name, cls=kind, context_settings=context)(function)
        made.params.extend(_global_options())
        return made

    return decorate


def _global_options() -> list[click.Parameter]:
    """Return the global options as parameters, to follow a command's own."""

    def bearer() -> None:
        """Hold the parameters that the decorators add."""

    return click.command(with_options(GLOBAL_OPTIONS)(bearer)).params


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of the machines from the store alone; offer nothing if it cannot be read.

    If the quick lookup fails, the store may still be readable as a copy, e.g. on a read-only file system.
    """
    from click.shell_completion import CompletionItem

    from pymachine.errors import PymachineError
    from pymachine.store.lookup import names

    given, app = ctx.params.get(param.name or "") or (), ctx.ensure_object(App)
    try:
        known = names(str(app.folder))
    except PymachineError:
        try:
            known = [record.name for record in app.store.records()]
        except PymachineError:
            return []
    return [CompletionItem(name) for name in known if name.startswith(incomplete) and name not in given]


class _Seconds(click.FloatRange):
    """A time limit: from 0.1 s to a day. Python's floats have ``nan`` and ``inf`` besides, which end no wait."""

    name = "seconds"

    def __init__(self) -> None:
        super().__init__(min=0.1, max=86_400.0)

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return number


SECONDS = _Seconds()
NAME = click.argument("name", required=False, shell_complete=complete_names)
NAMES = click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names)
JSON = click.option("--json", "as_json", is_flag=True, callback=_set_json, help="Print JSON.")
FORMAT = click.option(
    "-f", "--format", "template", metavar="FORMAT",
    help="Print with a Go template such as '{{.Name}}', or as json or yaml.",
)  # fmt: skip
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
FORCE_UNLOCK = click.option(
    "--force-unlock", is_flag=True, expose_value=False, callback=_set_force_unlock,
    help="Break the lock of a hung pymachine process.",
)  # fmt: skip
NO_DRAIN = click.option("--no-drain", is_flag=True, help="Do not drain a Swarm node before its engine restarts.")
YES = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
