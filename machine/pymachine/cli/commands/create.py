"""``create``: create a machine with any driver."""

from __future__ import annotations

from typing import Any

import click

from pymachine.cli.app import App
from pymachine.cli.driver_command import ORDER_OPTIONS, OrderCommand, carry_out, chosen_driver, order_of
from pymachine.cli.options import command, with_options
from pymachine.errors import UsageFault
from pymachine.model import check_name


@command(OrderCommand)
@with_options(ORDER_OPTIONS)
@click.argument("name", required=False)
@click.pass_obj
def create(app: App, /, name: str | None, driver: str | None, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Create a machine: a host whose Docker engine answers over TLS.

    Run the command again to continue a create that stopped half-way.
    """
    if name is None:
        raise UsageFault("create needs a name for the machine", hint="pymachine create -d DRIVER [OPTIONS] NAME")
    order = order_of(app, check_name(name), chosen_driver(app, driver), given)
    carry_out(app, order, dry_run=dry_run, as_json=as_json, context=given["context"])
