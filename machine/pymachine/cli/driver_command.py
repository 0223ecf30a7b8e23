"""Commands that take the options of a driver. Arguments are read twice: the first pass finds the driver."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pymachine.cli.app import App
from pymachine.cli.driver_options import PREFIX, check_flags, driver_options, options_instance
from pymachine.cli.engine_options import CLASSIC_SWARM, engine_options, labels_of, new_spec, refuse_swarm_flags
from pymachine.cli.go_flags import FlagCommand
from pymachine.cli.lookup import unlock
from pymachine.cli.options import DRY_RUN, FORCE_UNLOCK, JSON
from pymachine.cli.output import dump, say
from pymachine.cli.plan_output import next_line, ready_line, show_plans
from pymachine.errors import PymachineError, UsageFault
from pymachine.override import override
from pymachine.redaction import machine_document

if TYPE_CHECKING:
    from pymachine.create_request import CreateRequest
    from pymachine.model import Machine

DRIVER_FLAGS = ("-d", "--driver")
DRIVER_PARAMS = "pymachine.driver_params"

DRIVER_OPTIONS = (
    click.option(
        *DRIVER_FLAGS,
        "driver",
        metavar="DRIVER",
        help="Driver that creates or connects to the host.  [env: MACHINE_DRIVER]",
    ),
    click.option(
        "--driver-opt", "driver_opts", multiple=True, metavar="KEY=VALUE", help="Driver option, by its name."
    ),
)
# What `create` and `adopt` take beside the driver's own.
ORDER_OPTIONS = (
    *DRIVER_OPTIONS,
    click.option(
        "--label", "machine_labels", multiple=True, metavar="KEY=VALUE", help="Label of the machine, for `ls`."
    ),
    *engine_options(new=True),
    click.option("--context", is_flag=True, help="Also make a context of the docker client for the machine."),
    FORCE_UNLOCK,
    DRY_RUN,
    JSON,
)


class DriverCommand(FlagCommand):
    """A command with the options of the driver that its arguments name."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Load the driver first, then parse all arguments."""
        driver = named_driver(args) or os.environ.get("MACHINE_DRIVER")
        if driver and not ctx.resilient_parsing:
            ctx.meta[DRIVER_PARAMS] = self._params_of(driver, ctx.ensure_object(App))
        return super().parse_args(ctx, args)

    @override
    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the shared options, the driver's options, and --help last."""
        *own, help_option = super().get_params(ctx)
        return [*own, *ctx.meta.get(DRIVER_PARAMS, ()), help_option]

    @override
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the driver's options first, in a section of their own."""
        driver = ctx.meta.get(DRIVER_PARAMS, [])
        shared = [p for p in self.get_params(ctx) if isinstance(p, click.Option) and p not in driver]
        for title, some in {"Options of this driver": driver, "Options": shared}.items():
            records = [record for param in some if (record := param.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the drivers, and how to show the options of each."""
        names = ", ".join(ctx.ensure_object(App).wiring.driver_names())
        with formatter.section("Drivers"):
            formatter.write_text(f"{names}. `{ctx.command_path} -d DRIVER --help` shows the options of one.")

    def _params_of(self, driver: str, app: App) -> list[click.Parameter]:
        options = driver_options(app.wiring.load_driver(driver).options)
        check_flags(driver, options, [flag for param in self.params for flag in param.opts])
        return [option.parameter() for option in options]


class OrderCommand(DriverCommand):
    """A ``DriverCommand`` that sets up an engine; it also recognises docker-machine's flags for classic Swarm."""

    @override
    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return all options, and --help last."""
        *own, help_option = super().get_params(ctx)
        swarm: Sequence[click.Parameter] = refuse_swarm_flags(CLASSIC_SWARM)
        return [*own, *swarm, help_option]


def named_driver(args: Sequence[str]) -> str | None:
    """Find the driver among arguments that cannot all be parsed yet; the last one counts."""
    found = None
    words = list(args[: args.index("--")] if "--" in args else args)
    for place, word in enumerate(words):
        if word in DRIVER_FLAGS:
            found = words[place + 1] if place + 1 < len(words) else found
        elif word.startswith("--driver="):
            found = word.removeprefix("--driver=")
        elif word.startswith("-d") and not word.startswith("--"):
            found = word.removeprefix("-d").removeprefix("=")
    return found


def chosen_driver(app: App, given: str | None) -> str:
    """Return the driver's name from the option or its variable. Raises ``UsageFault`` if there is none."""
    driver = given or app.environ.get("MACHINE_DRIVER")
    if not driver:
        names = ", ".join(app.wiring.driver_names())
        raise UsageFault("no driver given", hint=f"choose one with -d or MACHINE_DRIVER: {names}")
    return driver


def chosen_options(app: App, driver: str, given: Mapping[str, Any]) -> Any:
    """Return the driver's options, an instance of its own class. Raises ``UsageFault``."""
    kind = app.wiring.load_driver(driver).options
    of_driver = {key: value for key, value in given.items() if key.startswith(PREFIX)}
    return options_instance(driver, kind, of_driver, given["driver_opts"], app.environ)


def order_of(app: App, name: str, driver: str, given: Mapping[str, Any], *, adopted: str = "") -> CreateRequest:
    """Return the checked request. Raises ``UsageFault``."""
    of_engine = {key: given[key] for key in given if key not in _NO_ENGINES and not key.startswith(PREFIX)}
    options = chosen_options(app, driver, given)
    spec = new_spec(of_engine, app.environ)
    labels = labels_of(given["machine_labels"])
    from pymachine.create_request import CreateRequest

    return CreateRequest(name, driver, options, spec, labels, adopted)


def carry_out(app: App, order: CreateRequest, *, dry_run: bool, as_json: bool, context: bool) -> None:
    """Execute the request, or show what it would do; with ``context``, make one for the docker client as well."""
    from pymachine import create as verbs
    from pymachine.bake import bake_and_create

    if dry_run:
        show_plans([verbs.preview_create(order, app.tools)], as_json=as_json)
        return
    if context:
        from pymachine.cli.contexts import client

        client(app).names()  # without a docker client that works nothing is made
    unlock(app, [order.name])
    began = app.wiring.now()
    machine = bake_and_create(order, app.tools)
    app.settle()
    if as_json:
        dump(machine_document(machine))
    else:
        say(ready_line(machine, app.wiring.now() - began))
        say(next_line(app, machine))
    if context:
        _add_context(app, machine, as_json=as_json)


def _add_context(app: App, machine: Machine, *, as_json: bool) -> None:
    """Make the machine's context. What fails here does not undo the machine."""
    from pymachine.cli.contexts import kept

    try:
        found = kept(app, machine.name)
    except PymachineError as error:
        hint = f"machine {machine.name} is ready; `pymachine context sync {machine.name}` tries again"
        raise PymachineError(f"it has no context: {error.message}", hint=hint) from error
    if not as_json:
        say(f"  docker --context {found.context} ps")


_NO_ENGINES = ("driver_opts", "machine_labels", "context")
